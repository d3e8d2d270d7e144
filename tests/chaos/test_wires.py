"""With Kafka and a network in between, servers and connections fail and consumers are killed: nothing is lost."""

import pytest

from tests.chaos.faults.catalogue import FAULTS
from tests.chaos.short_run import run_short
from tests.support.kafka_broker import kafka_available
from tests.support.machine import skip_or_fail

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(900)]

#: Each way in which a connection fails, for one server; `make chaos` has every way for every server.
ONCE = {"postgres latency", "valkey reset", "kafka half-open", "postgres blackhole"}
GROUPS = {"kills", "outages", "disks"}
WIRED = [fault for fault in FAULTS if fault.kind == "wired" and (fault.group in GROUPS or fault.name in ONCE)]


async def test_nothing_is_lost_whatever_happens_between_the_platform_and_its_servers() -> None:
    if reason := kafka_available():
        skip_or_fail(reason)
    assert await run_short(WIRED) == []
