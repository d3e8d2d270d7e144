"""Every fault that the platform must survive."""

from collections.abc import Sequence

from tests.chaos.faults.bad_messages import BAD_MESSAGES
from tests.chaos.faults.bad_webhooks import BAD_WEBHOOKS
from tests.chaos.faults.clocks import CLOCKS
from tests.chaos.faults.failover import FAILOVER
from tests.chaos.faults.fault import Fault
from tests.chaos.faults.kills import KILLS
from tests.chaos.faults.log import LOG
from tests.chaos.faults.outages import OUTAGES
from tests.chaos.faults.slow_provider import SLOW_PROVIDER

FAULTS: list[Fault] = [*KILLS, *BAD_WEBHOOKS, *BAD_MESSAGES, *OUTAGES, *FAILOVER, *LOG, *CLOCKS, SLOW_PROVIDER]


def choose(names: Sequence[str]) -> list[Fault]:
    """The faults of these names or groups; all faults when there are no names. Raises LookupError."""
    for name in names:
        if not any(name in {fault.name, fault.group} for fault in FAULTS):
            raise LookupError(f"{name} is neither a fault nor a group of them")
    return [fault for fault in FAULTS if not names or fault.name in names or fault.group in names]
