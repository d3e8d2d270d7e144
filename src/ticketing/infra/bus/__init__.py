"""Consumer groups: what reacts to a message, with retry and back-off."""

from ticketing.infra.bus.delivery import (
    BACKOFF_FIRST_SECONDS,
    BACKOFF_MAX_SECONDS,
    OUTAGES,
    AnyGroup,
    BatchGroup,
    Group,
    InboxRow,
    OutwardGroup,
    Poison,
    Retry,
    Stopped,
    backoff_seconds,
)

__all__ = [
    "BACKOFF_FIRST_SECONDS",
    "BACKOFF_MAX_SECONDS",
    "OUTAGES",
    "AnyGroup",
    "BatchGroup",
    "Group",
    "InboxRow",
    "OutwardGroup",
    "Poison",
    "Retry",
    "Stopped",
    "backoff_seconds",
]
