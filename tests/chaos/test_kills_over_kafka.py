"""The relay and the consumers are killed under load, with a real broker between them."""

import pytest

from tests.chaos.faults.kills import KILLS
from tests.chaos.short_run import play_short
from tests.support.kafka_broker import kafka_available
from tests.support.machine import skip_or_fail

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(900)]


async def test_nothing_is_lost_whatever_reader_is_killed_three_times() -> None:
    if reason := kafka_available():
        skip_or_fail(reason)
    assert await play_short([fault for fault in KILLS if fault.kind == "wired"], 3) == []
