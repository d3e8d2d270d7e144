"""What a rehearsal has found out: the numbers of the report, before anybody judges them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ticketing.rehearsal.assertions import Proof
from ticketing.rehearsal.load.statistics import Tally, Times

#: Whether the platform counts each buyer's requests for themselves, all as those of one address, or does not count.
Limits = Literal["each", "shared", "off"]

#: From here on the crowd itself was too slow to be believed.
LATE_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Broken:
    """An invariant of the whole platform that does not hold."""

    sentence: str
    count: int
    named: list[str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything measured. Times in seconds."""

    title: str
    began_at: float
    buyers: int
    for_sale: int
    sold: int
    left: int
    sold_out_seconds: float | None
    lag_peak_seconds: float
    #: How long the readers of the log took to catch up; None when they did not.
    lag_back_seconds: float | None
    tally: Tally
    proofs: list[Proof]
    #: How many invariants of the whole platform were asked about, and those that do not hold.
    invariants: int
    broken: list[Broken]
    limits: Limits
    with_payments: bool

    @property
    def holds(self) -> int:
        """Holds that were granted."""
        return self.tally.count("hold", 201)

    @property
    def peak_holds(self) -> int:
        """Holds granted in the best second."""
        return max(self.tally.holds_by_second.values(), default=0)

    @property
    def lost_share(self) -> float:
        """Of the answers to holds, those that said somebody else was faster."""
        lost = self.tally.count("hold", 409)
        return lost / (lost + self.holds) if lost else 0.0

    def share(self, status: int) -> float:
        """Of all answers, those with this status."""
        total = self.tally.count()
        return self.tally.count(status=status) / total if total else 0.0

    def quantile(self, step: str, part: float) -> float:
        """Seconds that `part` of a step's answers did not exceed."""
        return self.tally.times.get(step, Times()).quantile(part)

    def notes(self) -> Iterator[str]:
        """What a reader has to know to believe the numbers."""
        if self.limits == "shared":
            yield (
                "All buyers had one address, and the limits of one address held them back. Set TRUSTED_PROXIES of"
                " the platform to the address that the rehearsal comes from, and each buyer counts for themselves."
            )
        if self.limits == "off":
            yield "Limits are off on this platform; on the day they are not."
        if not self.with_payments:
            yield "Nobody paid: the mock provider is off, or payments were left out. Buyers stopped at the order."
        if self.tally.late_seconds > LATE_SECONDS:
            yield (
                f"The crowd itself was up to {self.tally.late_seconds:.1f} s late: this machine is too busy to be"
                " believed. Run the rehearsal from another one, or with more processes."
            )
        if self.left:
            yield f"It was not sold out: {self.left} of {self.for_sale} were left when the last buyer went home."
        yield "Tokens were minted, not fetched: log-ins were not rehearsed, nor were letters and live maps."
