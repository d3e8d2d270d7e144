"""A process is killed or suspended, Valkey is emptied, messages are repeated or poison: nothing is lost under load."""

from pathlib import Path

import pytest

from tests.chaos.faults.catalogue import FAULTS
from tests.chaos.short_run import run_short

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the processes in /proc"),
    pytest.mark.timeout(900),
]

#: "webhooks" alone is left out: "webhooks through kills" sends the same ones.
OWN = [fault for fault in FAULTS if fault.kind == "own" and fault.name != "webhooks"]


async def test_nothing_is_lost_whatever_process_fails() -> None:
    assert await run_short(OWN) == []
