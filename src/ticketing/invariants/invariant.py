"""An invariant of the data, and the result of checking it."""

from dataclasses import dataclass

#: Consumers may still be processing the messages of younger rows.
SETTLING_SECONDS = 60
#: The scheduler expires holds every few seconds. A hold that lapsed longer ago, and is still active, is stuck.
EXPIRY_SECONDS = 3600
#: The longest hold that an event may ask for; each extension adds as much (`ck_events_hold_seconds`).
HOLD_SECONDS_MAX = 3600
#: How far back rows are compared with the log, which retains at least a day.
LOG_SECONDS = 86_400

#: The statuses of an order that was paid, even if it was refunded later.
SETTLED = "('paid', 'partially_refunded', 'refunded')"


@dataclass(frozen=True, slots=True)
class Invariant:
    """A sentence about the data, and a query for the offenders, with one text column.

    The query joins whole tables by their keys, without lookups per row: with ten million seats, that takes seconds
    instead of hours.
    """

    name: str
    sentence: str
    query: str


@dataclass(frozen=True, slots=True)
class InvariantResult:
    """The number of offenders, and some of them."""

    invariant: Invariant
    count: int
    offenders: list[str]
