"""Names that the running code knows: metrics, settings, crash points, messages, consumers, channels, error codes."""

import importlib
import json
import pkgutil
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase
from redis.asyncio import Redis

import ticketing
from ticketing.infra import errors, mail
from ticketing.infra.config import Settings
from ticketing.infra.crash_points import POINTS
from ticketing.infra.http import error_handlers
from ticketing.infra.redis.commit_notifications import CHANNEL as COMMITS
from ticketing.main import create_app
from ticketing.modules.realtime.frames import CHANNEL as SEATS
from ticketing.workers.consumers import groups
from ticketing.workers.relay import READER

MESSAGES = Path(__file__).parents[2] / "docs" / "messages.json"


def metrics() -> list[str]:
    """Every metric that any module registers: type, name, labels, buckets, and how processes are added up."""
    for module in pkgutil.walk_packages(ticketing.__path__, f"{ticketing.__name__}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    known = [metric for metric in REGISTRY._collector_to_names if isinstance(metric, MetricWrapperBase)]
    return sorted(_metric(metric) for metric in known if metric._name.startswith("ticketing_"))


def _metric(metric: Any) -> str:
    name = metric._name + ("_total" if metric._type == "counter" else "")
    said = [metric._type, name, f"labels={','.join(metric._labelnames)}"]
    if (buckets := metric._kwargs.get("buckets")) is not None:
        said.append(f"buckets={','.join(map(str, buckets))}")
    if metric._type == "gauge":
        said.append(f"across processes={metric._multiprocess_mode}")
    return " ".join(said)


def settings() -> list[str]:
    """Variables with type, limits and default; the defaults of secrets are not shown."""
    found = []
    for name, schema in Settings.model_json_schema()["properties"].items():
        shape = {key: value for key, value in schema.items() if key not in {"title", "description"}}
        if schema.get("format") == "password":
            shape.pop("default", None)
        found.append(f"setting {name.upper()} {json.dumps(shape, sort_keys=True)}")
    return sorted(found)


def crash_points() -> list[str]:
    return sorted(f"crash point {name}" for name in POINTS)


def messages() -> list[str]:
    """docs/messages.json, one field per line."""
    published = orjson.loads(MESSAGES.read_bytes())
    versions = ((topic, version, shape) for topic, all_ in published.items() for version, shape in all_.items())
    return sorted(chain.from_iterable(_message(*version) for version in versions))


def _message(topic: str, version: str, shape: dict[str, Any]) -> Iterator[str]:
    where = f"message {topic} {version}"
    yield f"{where} key {shape['key']}"
    for name, type_ in shape["fields"].items():
        presence = "always" if name in shape["always"] else "optional"
        yield f"{where} field {name} {presence} {json.dumps(type_, sort_keys=True)}"


def readers() -> list[str]:
    """Readers of the log, consumer groups with their topics, and the channels of Redis pub/sub."""
    found = [f"reader {READER}", f"channel {COMMITS}", f"channel {SEATS}"]
    for group in groups(Redis(), mail.TerminalMailer()):
        found.append(f"consumer group {group.name}")
        found += [f"consumer group {group.name} topic {topic}" for topic in group.topics]
    return sorted(found)


def error_codes() -> list[str]:
    """Codes of API errors with their status."""
    create_app()  # imports every module
    by_class = {(kind.code, kind.status) for kind in _kinds(errors.TicketingError)}
    by_status = {(code, status) for status, (code, _) in error_handlers.HTTP_CODES.items()}
    return sorted(f"error {code} {status}" for code, status in by_class | by_status)


def _kinds(parent: type[errors.TicketingError]) -> Iterator[type[errors.TicketingError]]:
    if parent.__module__.startswith("ticketing."):
        yield parent
    for kind in parent.__subclasses__():
        yield from _kinds(kind)


def pages() -> list[str]:
    """Addresses outside the OpenAPI document: pages of the browser side and what they load."""
    routes = [route for route in create_app().routes if hasattr(route, "path")]
    return sorted(f"page {route.path}" for route in routes if not route.path.startswith("/api/"))
