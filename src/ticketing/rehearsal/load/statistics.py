"""What the buyers count: answers by step and status, their times, and what should never have come.

Each process of the crowd has one, and what it sends to the one that watches is its whole content, so a report that is
lost costs nothing.
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

#: Times are kept in buckets that grow by two percent: any quantile is true to that, and two tallies add up.
_GROWTH = math.log(1.02)
_UNIT_SECONDS = 1e-5
#: So many examples are kept of what should not have come; a person needs some to look at, not all.
EXAMPLES_MAX = 10


@dataclass(slots=True)
class Times:
    """How long answers took."""

    buckets: Counter[int] = field(default_factory=Counter)

    def add(self, seconds: float) -> None:
        self.buckets[math.ceil(math.log(max(seconds / _UNIT_SECONDS, 1)) / _GROWTH)] += 1

    @property
    def count(self) -> int:
        return self.buckets.total()

    def quantile(self, part: float) -> float:
        """Seconds that `part` of all answers did not exceed; 0 when there were none."""
        left = math.ceil(part * self.count)
        for bucket in sorted(self.buckets):
            left -= self.buckets[bucket]
            if left <= 0:
                return math.exp(bucket * _GROWTH) * _UNIT_SECONDS
        return 0.0


@dataclass(slots=True)
class Tally:
    """Everything that a crowd has seen so far."""

    #: "hold 201", "order 409", …
    answers: Counter[str] = field(default_factory=Counter)
    #: What became of buyers: bought, abandoned, cancelled, went_home, …
    ends: Counter[str] = field(default_factory=Counter)
    times: dict[str, Times] = field(default_factory=dict)
    #: Unix second, and the holds that were granted in it.
    holds_by_second: Counter[int] = field(default_factory=Counter)
    #: By kind: "fault", "surprise", "replay".
    wrongs: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    replays: int = 0
    #: The most that this crowd was late by its own fault: then its times tell of us, not of the platform.
    late_seconds: float = 0.0

    def note(self, step: str, status: int, seconds: float) -> None:
        """One answer."""
        self.answers[f"{step} {status}"] += 1
        self.times.setdefault(step, Times()).add(seconds)

    def wrong(self, kind: str, example: str) -> None:
        """Something that should never have come."""
        self.wrongs[kind] += 1
        if len(self.examples) < EXAMPLES_MAX and example not in self.examples:
            self.examples.append(example)

    def count(self, step: str = "", status: int = 0) -> int:
        """Answers of a step and of a status; without one, of all."""
        wanted = (step, str(status) if status else "")
        pairs = ((name.split(" "), count) for name, count in self.answers.items())
        return sum(n for (a, b), n in pairs if wanted[0] in {a, ""} and wanted[1] in {b, ""})

    def as_json(self) -> dict[str, Any]:
        """The whole content, as JSON takes it."""
        times = {step: dict(times.buckets) for step, times in self.times.items()}
        return {name: getattr(self, name) for name in self.__slots__} | {"times": times}

    @classmethod
    def of_json(cls, content: dict[str, Any]) -> Self:
        """What `as_json` made; JSON turns numbers that are names into text."""
        times = {step: Times(_numbered(buckets)) for step, buckets in content["times"].items()}
        counters = {name: Counter(content[name]) for name in ("answers", "ends", "wrongs")}
        by_second = _numbered(content["holds_by_second"])
        return cls(**{**content, **counters, "times": times, "holds_by_second": by_second})

    def add(self, other: "Tally") -> None:
        """Add another crowd's."""
        for name in ("answers", "ends", "holds_by_second", "wrongs"):
            getattr(self, name).update(getattr(other, name))
        for step, times in other.times.items():
            self.times.setdefault(step, Times()).buckets.update(times.buckets)
        self.examples = [*self.examples, *other.examples][:EXAMPLES_MAX]
        self.replays += other.replays
        self.late_seconds = max(self.late_seconds, other.late_seconds)


def _numbered(counts: dict[str, int]) -> Counter[int]:
    return Counter({int(name): count for name, count in counts.items()})
