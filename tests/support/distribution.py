"""Which tests run in one process, and in which order: a plugin for pytest-xdist.

Files are distributed one by one, except for two groups: all tests of the shared platform run in one process and all
tests of the shared Kafka broker in another, so that each is started once. The groups and the longest files come first,
and the short files fill the gaps at the end.
"""

import gc
from collections.abc import Callable
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

#: Prefixes of paths below tests/, by group, in the order in which the groups begin.
GROUPS = {
    "broker": (
        "infra/kafka/",
        "crashes/test_stopped_relay.py",
        "crashes/test_over_kafka.py",
        "e2e/test_over_kafka.py",
        "support/test_kafka_broker.py",
        "workers/test_lag_metrics.py",
    ),
    "platform": (
        "rehearsal/test_rehearsal.py",
        "browser/",
        "e2e/test_journey.py",
        "e2e/test_losses.py",
        "modules/iam/test_sessions.py",
    ),
}
#: Files and rooms that take longest, in the order in which they begin.
LONG = (
    "chaos/test_wires.py",
    "chaos/test_processes.py",
    "cli/test_up.py",
    "crashes/",
    "mutants/",
    "model/",
    "fuzz/",
    "e2e/",
    "modules/privacy/test_quiet_logs.py",
    "chaos/",
    "sweeps/",
    "infra/db/",
    "modules/tickets/",
    "modules/events/",
)

#: What closes the shared part of a group; called after the group's last test, and not at the end of the session: a
#: platform without requests still uses a tenth of a core.
closing: dict[str, Callable[[], None]] = {}


def group_of(nodeid: str) -> str:
    """The name of the group, or the path of the file."""
    path = nodeid.partition("::")[0]
    inside = path.removeprefix("tests/")
    for name, prefixes in GROUPS.items():
        if inside.startswith(prefixes):
            return name
    return path


def rank_of(nodeid: str) -> int:
    """Smaller ranks begin earlier."""
    group = group_of(nodeid)
    if group in GROUPS:
        return list(GROUPS).index(group)
    inside = group.removeprefix("tests/")
    for place, prefix in enumerate(LONG, len(GROUPS)):
        if inside.startswith(prefix):
            return place
    return len(GROUPS) + len(LONG)


class GroupScheduling(LoadScopeScheduling):
    """Gives each free process the next group or file."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    config.option.loadscopereorder = False  # the order is that of `rank_of`
    return GroupScheduling(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--seconds", default=0):  # there, the order is that of the arguments
        items.sort(key=lambda item: rank_of(item.nodeid))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    group = group_of(item.nodeid)
    if nextitem is not None and group_of(nextitem.nodeid) != group and group in closing:
        closing.pop(group)()


def pytest_collection_finish() -> None:
    """Keep the collector away from the thousands of tests and modules, which live to the end: a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
