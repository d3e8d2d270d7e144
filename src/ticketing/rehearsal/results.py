"""The measurements of a rehearsal, before they are compared with its thresholds."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ticketing.rehearsal.assertions import AssertionResult
from ticketing.rehearsal.load.statistics import Histogram, Statistics

#: Rate limits of the platform: per buyer ("each"), one limit for all buyers together ("shared"), or none ("off").
RateLimits = Literal["each", "shared", "off"]

#: If the event loop of a load process was this late, the report contains a warning.
LATE_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class BrokenInvariant:
    """An invariant of the whole database that does not hold."""

    sentence: str
    count: int
    offenders: list[str]


@dataclass(frozen=True, slots=True)
class RehearsalResults:
    """All measurements of a rehearsal."""

    title: str
    began_at: float
    buyers: int
    for_sale: int
    sold: int
    left: int
    sold_out_seconds: float | None
    lag_peak_seconds: float
    #: How long the log's readers took to catch up; None if they did not.
    lag_back_seconds: float | None
    statistics: Statistics
    assertions: list[AssertionResult]
    #: The number of invariants that were checked in the whole database.
    invariants: int
    broken_invariants: list[BrokenInvariant]
    rate_limits: RateLimits
    with_payments: bool

    @property
    def holds(self) -> int:
        """The number of granted holds."""
        return self.statistics.count("hold", 201)

    @property
    def peak_holds(self) -> int:
        """The largest number of holds granted in one second."""
        return max(self.statistics.holds_by_second.values(), default=0)

    @property
    def lost_share(self) -> float:
        """The share of holds that were refused because another buyer was faster (0 to 1)."""
        lost = self.statistics.count("hold", 409)
        return lost / (lost + self.holds) if lost else 0.0

    def share(self, status: int) -> float:
        """The share of all responses that have this status (0 to 1)."""
        total = self.statistics.count()
        return self.statistics.count(status=status) / total if total else 0.0

    def quantile(self, step: str, part: float) -> float:
        """The response time in seconds that `part` (0 to 1) of a step's responses did not exceed."""
        return self.statistics.times.get(step, Histogram()).quantile(part)

    def notes(self) -> Iterator[str]:
        """Conditions that affect how the figures are to be interpreted."""
        if self.rate_limits == "shared":
            yield (
                "All buyers shared the rate limits of one address. Add the address of the rehearsal to the platform's"
                " TRUSTED_PROXIES, so that each buyer has separate limits."
            )
        if self.rate_limits == "off":
            yield "Rate limits are off on this platform, unlike in a real sale."
        if not self.with_payments:
            yield "No payments: the mock provider is off, or --no-payments was given. Buyers stopped at the order."
        if self.statistics.late_seconds > LATE_SECONDS:
            yield (
                f"The load generator was up to {self.statistics.late_seconds:.1f} s late, because this machine is too"
                " busy: the response times are unreliable. Use another machine, or more processes."
            )
        if self.left:
            yield f"Not sold out: {self.left} of {self.for_sale} were left when the last buyer had finished."
        yield "Log-ins, emails and live seat maps were not rehearsed."
