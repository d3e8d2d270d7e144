"""The relay and the consumers are killed under load, with a real broker between them."""

from pathlib import Path

import pytest

from tests.chaos.kills import KILLS
from tests.chaos.short import play_short
from tests.kafka_broker import kafka_available
from tests.machine import skip_or_fail

pytestmark = pytest.mark.kafka


async def test_nothing_is_lost_whatever_reader_is_killed_three_times(tmp_path: Path) -> None:
    if reason := kafka_available():
        skip_or_fail(reason)
    assert await play_short([fault for fault in KILLS if fault.kind == "wired"], 3, tmp_path) == []
