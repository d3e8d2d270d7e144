"""Structured logs: one JSON object a line, each with the correlation id of the request or message that caused it."""

import asyncio
import logging
import re
import sys
from collections.abc import Callable, MutableMapping
from contextlib import nullcontext
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, NamedTuple, TextIO

import orjson
import structlog

#: Who and what this line of work belongs to. Set at the edge, carried through the outbox, set again by the consumer.
correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")
traceparent: ContextVar[str] = ContextVar("traceparent", default="")
actor: ContextVar[str] = ContextVar("actor", default="")
#: From where a request came, for the audit log alone: log lines carry neither.
client_address: ContextVar[str] = ContextVar("client_address", default="")
user_agent: ContextVar[str] = ContextVar("user_agent", default="")


_CONTEXT = (("correlation_id", correlation_id), ("actor", actor))


class Cause(NamedTuple):
    """Who and what a piece of work belongs to, for a worker that does the work of many."""

    correlation_id: str
    traceparent: str
    actor: str

    @classmethod
    def here(cls) -> "Cause":
        return cls(correlation_id.get(), traceparent.get(), actor.get())


# What Postgres adds to an error: "Key (email)=(…) already exists", or all of the row that a constraint refused. It may
# have line breaks of its own, so it reaches to whatever the driver and the traceback print next.
_DETAIL = re.compile(r"(?:DETAIL|CONTEXT):.*?(?=(?:\n|\\n)\[SQL:|\n\n(?:The above|During handling)|\Z)", re.DOTALL)
_ADDRESS = re.compile(r"[^\s@<>()\[\]{}'\",;:=]+@[^\s@<>()\[\]{}'\",;:=]+\.[^\W\d_]{2,}")


def without_values(words: str) -> str:
    """The text of an error without the values of rows, and without anybody's e-mail address."""
    return _ADDRESS.sub("[address]", _DETAIL.sub("[detail left out]", words))


def get_logger(name: str) -> Any:
    return structlog.get_logger(name)


def tell_request(method: str, route: str, status: int, ms: float) -> None:
    """The line of a request, written as the others are."""
    _tell("ticketing.http", "request", {"method": method, "route": route, "status": status, "ms": ms})


def tell_message(event: str, group: str, topic: str) -> None:
    """The line of a message that a consumer has dealt with."""
    _tell("ticketing.bus", event, {"group": group, "topic": topic})


def _tell(logger: str, event: str, facts: dict[str, Any]) -> None:
    if _quick is None:
        get_logger(logger).info(event, **facts)
    else:
        _quick(logger, event, facts)


_Writer = Callable[[str, str, dict[str, Any]], None]
_quick: _Writer | None = None


def _quick_writer(handler: logging.StreamHandler[Any], process: str) -> _Writer:
    """Writes a line as the chain of processors would, at a tenth of its cost: for those of each request and message.

    Nothing in such a line can be a value of a row or an address, which is what the chain looks for.
    """
    lines: list[bytes] = []
    flushing: asyncio.AbstractEventLoop | None = None

    def flush() -> None:
        nonlocal flushing
        text, flushing = b"".join(lines).decode(), None
        lines.clear()
        with handler.lock or nullcontext():
            handler.stream.write(text)
            handler.flush()

    def write(logger: str, event: str, facts: dict[str, Any]) -> None:
        nonlocal flushing
        at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        line = {**facts, "event": event, "level": "info", "logger": logger, "timestamp": at, "process": process}
        for name, variable in _CONTEXT:
            if value := variable.get():
                line[name] = value
        lines.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        # What the loop answers in one turn is written at its end: to write a line costs as much as to make it.
        if flushing is not (loop := asyncio.get_running_loop()):
            flushing = loop
            loop.call_soon(flush)

    return write


def configure(log_format: str, level: str, process: str, output: TextIO | None = None) -> None:
    """Send our lines and every library's through the same renderer to standard output, unless another is named."""
    global _quick
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_context(process),
    ]
    render: Any = structlog.dev.ConsoleRenderer() if log_format == "console" else structlog.processors.JSONRenderer()
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _without_values,
            render,
        ],
    )
    handler = logging.StreamHandler(output or sys.stdout)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    is_quick = log_format == "json" and root.isEnabledFor(logging.INFO)
    _quick = _quick_writer(handler, process) if is_quick else None
    # uvicorn brings handlers of its own, which would print every line twice.
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    # APScheduler tells of every run at INFO, which is once a second here.
    logging.getLogger("apscheduler").setLevel("WARNING")
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _without_values(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: without_values(value) if isinstance(value, str) else value for name, value in event.items()}


def _add_context(process: str) -> Any:
    def add(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
        event["process"] = process
        for name, variable in _CONTEXT:
            if value := variable.get():
                event.setdefault(name, value)
        return event

    return add
