"""Consumer groups: which handlers react to a message, with retries, back-off and dead letters."""

from ticketing.infra.bus.attempts import Poison
from ticketing.infra.bus.delivery import AnyGroup, BatchGroup, Caused, ExternalGroup, Group, InboxRow, Together, parse
from ticketing.infra.system.retry import OUTAGES, Retry, Stopped

__all__ = [
    "OUTAGES",
    "AnyGroup",
    "BatchGroup",
    "Caused",
    "ExternalGroup",
    "Group",
    "InboxRow",
    "Poison",
    "Retry",
    "Stopped",
    "Together",
    "parse",
]
