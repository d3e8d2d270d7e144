"""Every wire between the platform and a server is slow, cut, half-open or silent for a while, with Kafka between."""

import pytest

from tests.chaos.faults.catalogue import FAULTS
from tests.chaos.short_run import play_short
from tests.support.kafka_broker import kafka_available
from tests.support.machine import skip_or_fail

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(900)]

#: Each way in which a wire fails, on one of them; `make chaos` has every way on every wire.
ONCE = {"postgres latency", "valkey reset", "kafka half-open", "postgres blackhole"}
OFTEN = {"outages", "disks"}
WIRED = [fault for fault in FAULTS if fault.kind == "wired" and (fault.group in OFTEN or fault.name in ONCE)]


async def test_nothing_is_lost_whatever_happens_on_a_wire() -> None:
    if reason := kafka_available():
        skip_or_fail(reason)
    assert await play_short(WIRED, 1) == []
