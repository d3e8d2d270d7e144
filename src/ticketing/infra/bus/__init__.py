"""Consumer groups: which handlers react to a message, with retries, back-off and dead letters."""

from ticketing.infra.bus.attempts import Poison
from ticketing.infra.bus.delivery import AnyGroup, BatchGroup, ExternalGroup, Group, InboxRow, parse
from ticketing.infra.system.retry import OUTAGES, Retry, Stopped

__all__ = [
    "OUTAGES",
    "AnyGroup",
    "BatchGroup",
    "ExternalGroup",
    "Group",
    "InboxRow",
    "Poison",
    "Retry",
    "Stopped",
    "parse",
]
