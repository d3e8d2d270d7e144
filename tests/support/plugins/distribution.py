"""A pytest-xdist plugin: which tests share a process, and in which order they run.

The unit is a file, except for groups: all tests of the shared platform run in one process and all tests of the shared
Kafka broker in another, so that each starts once; tests that break their own platform run one at a time. Groups and the
longest files begin first, and short files fill the gaps at the end.
"""

import gc
from collections.abc import Callable
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

#: Path prefixes below tests/ of each group, in the order in which the groups begin.
GROUPS = {
    "broker": (
        "infra/kafka/",
        "crashes/test_stopped_relay.py",
        "crashes/test_over_kafka.py",
        "e2e/test_over_kafka.py",
        "infra/kafka/test_kafka_broker.py",
        "workers/test_lag_metrics.py",
    ),
    "platform": (
        "rehearsal/test_rehearsal.py",
        "browser/",
        "e2e/test_journey.py",
        "e2e/test_losses.py",
        "modules/iam/test_sessions.py",
    ),
    "faults": ("chaos/", "cli/test_up.py"),
}
#: The longest files and folders, in the order in which they begin.
LONG = (
    "crashes/",
    "mutants/",
    "model/",
    "fuzz/",
    "e2e/",
    "modules/privacy/test_quiet_logs.py",
    "sweeps/",
    "infra/db/",
    "modules/tickets/",
    "modules/events/",
)

#: Closes the shared fixture of a group after its last test instead of at the end of the session, because an idle
#: platform uses a tenth of a core.
closing: dict[str, Callable[[], None]] = {}


def group_of(nodeid: str) -> str:
    """The name of the test's group, or the path of its file."""
    path = nodeid.partition("::")[0]
    inside = path.removeprefix("tests/")
    for name, prefixes in GROUPS.items():
        if inside.startswith(prefixes):
            return name
    return path


def rank_of(nodeid: str) -> int:
    """The rank of a test; lower ranks begin earlier."""
    group = group_of(nodeid)
    if group in GROUPS:
        return list(GROUPS).index(group)
    inside = group.removeprefix("tests/")
    for place, prefix in enumerate(LONG, len(GROUPS)):
        if inside.startswith(prefix):
            return place
    return len(GROUPS) + len(LONG)


class GroupScheduling(LoadScopeScheduling):
    """Assigns the next group or file to each idle process."""

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
    """Exclude tests and modules, which live to the end, from garbage collection: it took a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
