"""CPU time of the processes under test (proc(5)); that of the load generator is left out."""

import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks.testbed.testbed import Testbed

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(testbed: Testbed) -> dict[str, float]:
    """Seconds in user and system mode so far, of all threads and children, by process."""
    _, postgres, valkey = testbed.servers
    parents = {"API": testbed.api_pid}
    for server in (postgres, valkey):
        parents[server.title] = server.process.pid if server.process else 0
    if testbed.worker is not None:
        parents["workers"] = testbed.worker.pid
    return {name: sum(map(_seconds_of, _family(pid))) for name, pid in parents.items()}


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _family(int(child))


def _seconds_of(pid: int) -> float:
    """The process's own time and that of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS_PER_SECOND
