"""What an invariant of the data is, and what was found when it was looked at."""

from dataclasses import dataclass

#: Consumers need a moment: what is younger than this may be on its way.
SETTLING_SECONDS = 60
#: The sweep comes every few seconds. What has run out so long ago and was not swept is stuck.
SWEPT_SECONDS = 3600
#: The longest hold that an event may ask for; each extension adds as much (`ck_events_hold_seconds`).
HOLD_SECONDS_MAX = 3600
#: How far back acts are compared with the log. No log keeps less than a day.
LOGGED_SECONDS = 86_400

#: An order that was paid, whatever has gone back since.
SETTLED = "('paid', 'partially_refunded', 'refunded')"


@dataclass(frozen=True, slots=True)
class Invariant:
    """A sentence about the data, and a query for what contradicts it: one text column.

    The query may use `:settling_seconds`, `:swept_seconds`, `:hold_seconds_max` and `:logged_seconds`. It joins whole
    tables by their keys and never looks something up per row: with ten million seats that is seconds against hours.
    """

    name: str
    sentence: str
    offenders: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many offenders there are, and some of them."""

    invariant: Invariant
    count: int
    named: list[str]
