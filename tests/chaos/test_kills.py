"""Processes are killed under load: nothing is lost, nothing happens twice, and nobody has to help."""

from pathlib import Path

import pytest

from tests.chaos.faults.kills import KILLS
from tests.chaos.short_run import play_short

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the processes in /proc"),
    pytest.mark.timeout(900),
]


async def test_nothing_is_lost_whatever_process_is_killed_three_times() -> None:
    assert await play_short([fault for fault in KILLS if fault.kind == "own"], 3) == []
