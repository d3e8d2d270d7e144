"""The disk of Postgres is full, and then Postgres cannot start because of it: nothing is lost."""

import pytest

from tests.chaos.faults.catalogue import FAULTS
from tests.chaos.short_run import run_short

pytestmark = pytest.mark.timeout(900)

FULL = [fault for fault in FAULTS if fault.name == "postgres out of wal"]


@pytest.mark.skipif(not FULL, reason="only root can make a small disk")
async def test_nothing_is_lost_when_the_disk_of_postgres_is_full() -> None:
    assert await run_short(FULL) == []
