"""What `ticketing check` asks of the database, one file per subject."""

from ticketing.invariants.runner import (
    INVARIANTS,
    NAMED_MAX,
    Verdict,
    check,
    judge,
)

__all__ = [
    "INVARIANTS",
    "NAMED_MAX",
    "Verdict",
    "check",
    "judge",
]
