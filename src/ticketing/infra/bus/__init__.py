"""Consumer groups: what reacts to a message, with retry and back-off."""

from ticketing.infra.bus.delivery import AnyGroup, BatchGroup, Group, InboxRow, OutwardGroup, Poison
from ticketing.infra.system.retry import OUTAGES, Retry, Stopped

__all__ = [
    "OUTAGES",
    "AnyGroup",
    "BatchGroup",
    "Group",
    "InboxRow",
    "OutwardGroup",
    "Poison",
    "Retry",
    "Stopped",
]
