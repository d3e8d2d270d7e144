"""docs/metrics.md has every metric that is registered, and every metric that other pages name is registered."""

import re
from pathlib import Path

from prometheus_client import generate_latest

from ticketing.docgen import metrics_page

DOCS = Path(__file__).parents[2] / "docs"
NAMES = re.findall(r"^\| `(ticketing_\w+)` \|", metrics_page.render(), re.MULTILINE)


def test_every_scraped_metric_has_a_row() -> None:
    scraped = re.findall(r"^# TYPE (ticketing_\w+) (\w+)$", generate_latest().decode(), re.MULTILINE)
    named = {name for name, kind in scraped if not (kind == "gauge" and name.endswith("_created"))}
    assert named == set(NAMES)


def test_every_metric_says_what_it_means() -> None:
    for metric in metrics_page.metrics():
        assert len(metric._documentation) > 5, metric._name


def test_labels_are_those_of_the_metric() -> None:
    assert "| `ticketing_messages_consumed_total` | counter | `group`, `topic`, `outcome` |" in metrics_page.render()


def test_pages_name_no_metric_that_is_gone() -> None:
    suffixes = ("", "_bucket", "_sum", "_count")
    known = {f"{name}{suffix}" for name in NAMES for suffix in suffixes}
    for page in DOCS.glob("*.md"):
        assert set(re.findall(r"\bticketing_\w+_(?:total|seconds|size|bytes|rows)\b", page.read_text())) <= known, page
