"""Servers are away, empty or full, readers sleep, and words come twice, late or forged: nothing is lost under load."""

from pathlib import Path

import pytest

from tests.chaos.faults.catalogue import FAULTS
from tests.chaos.short_run import play_short

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the processes in /proc"),
    pytest.mark.timeout(900),
]

#: The same webhooks come through kills as well.
OWN = [fault for fault in FAULTS if fault.kind == "own" and fault.group != "kills" and fault.name != "webhooks"]
#: A disk that is full, and then a server that can't start for it.
SMALL = [fault for fault in FAULTS if fault.name == "postgres out of wal"]


async def test_nothing_is_lost_whatever_is_said_or_forgotten() -> None:
    assert await play_short(OWN, 1) == []


@pytest.mark.skipif(not SMALL, reason="only root can make a small disk")
async def test_nothing_is_lost_when_the_disk_of_postgres_is_full() -> None:
    assert await play_short(SMALL, 1) == []
