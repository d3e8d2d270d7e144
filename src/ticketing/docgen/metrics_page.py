"""docs/metrics.md: every metric, from the registry of the Prometheus client."""

from collections.abc import Iterator
from typing import Any

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from ticketing.docgen.codebase import import_everything, one_line

_HEAD = """\
# Metrics

Generated from the registry by `make docs`. `GET /metrics` of the API serves all API processes together. A worker that
runs on its own serves its metrics on `METRICS_PORT`. [operations.md](operations.md) says which of them to alert on.

Several processes are combined by adding up counters and histograms; for a gauge the last column says whether the values
are added (`livesum`) or the highest counts (`livemax`).

| name | type | labels | meaning | gauges |
|---|---|---|---|---|"""

PREFIX = "ticketing_"


def render(_: str = "") -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_rows(), ""])


def metrics() -> list[Any]:
    """The metrics of the platform, by name; those of the Python runtime are left out."""
    import_everything()
    known: list[Any] = [metric for metric in REGISTRY._collector_to_names if isinstance(metric, MetricWrapperBase)]
    return sorted((one for one in known if one._name.startswith(PREFIX)), key=name_of)


def name_of(metric: Any) -> str:
    """The name as it is scraped: the client takes `_total` off a counter and puts it back on."""
    return f"{metric._name}_total" if metric._type == "counter" else str(metric._name)


def _rows() -> Iterator[str]:
    for metric in metrics():
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)
        mode = f"`{metric._multiprocess_mode}`" if metric._type == "gauge" else ""
        yield f"| `{name_of(metric)}` | {metric._type} | {labels} | {one_line(metric._documentation)} | {mode} |"
