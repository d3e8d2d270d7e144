"""What virtual buyers measure: responses by step and status, response times, and errors.

Each load process sends its complete statistics to the parent every time, so a lost report does no harm.
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

#: Each bucket is 2 % wider than the one before: quantiles are exact to 2 %, and histograms can be added.
_GROWTH = math.log(1.02)
_UNIT_SECONDS = 1e-5
#: How many descriptions of errors are kept.
EXAMPLES_MAX = 10


@dataclass(slots=True)
class Histogram:
    """A histogram of response times."""

    buckets: Counter[int] = field(default_factory=Counter)

    def add(self, seconds: float) -> None:
        self.buckets[math.ceil(math.log(max(seconds / _UNIT_SECONDS, 1)) / _GROWTH)] += 1

    @property
    def count(self) -> int:
        return self.buckets.total()

    def quantile(self, part: float) -> float:
        """The response time in seconds that `part` (0 to 1) of all responses did not exceed; 0 without responses."""
        left = math.ceil(part * self.count)
        for bucket in sorted(self.buckets):
            left -= self.buckets[bucket]
            if left <= 0:
                return math.exp(bucket * _GROWTH) * _UNIT_SECONDS
        return 0.0


@dataclass(slots=True)
class Statistics:
    """What a load process, or all of them, has measured so far."""

    #: "hold 201", "order 409", …
    responses: Counter[str] = field(default_factory=Counter)
    #: Number of buyers by how they ended: bought, abandoned, cancelled, went_home, …
    outcomes: Counter[str] = field(default_factory=Counter)
    times: dict[str, Histogram] = field(default_factory=dict)
    #: Granted holds by Unix time in seconds.
    holds_by_second: Counter[int] = field(default_factory=Counter)
    #: Number by kind: "fault" (a 5xx), "surprise" (another unexpected response), "replay" (a repeated request was not
    #: answered with the stored response), "silence" (no response).
    errors: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    replays: int = 0
    #: The longest delay of this event loop. If it is long, response times measure this machine, not the platform.
    late_seconds: float = 0.0

    def record(self, step: str, status: int, seconds: float) -> None:
        """Count a response."""
        self.responses[f"{step} {status}"] += 1
        self.times.setdefault(step, Histogram()).add(seconds)

    def record_error(self, kind: str, example: str) -> None:
        """Count an error, and keep its description if there are few."""
        self.errors[kind] += 1
        if len(self.examples) < EXAMPLES_MAX and example not in self.examples:
            self.examples.append(example)

    def count(self, step: str = "", status: int = 0) -> int:
        """The number of responses, of one step and status if given."""
        wanted = (step, str(status) if status else "")
        pairs = ((name.split(" "), count) for name, count in self.responses.items())
        return sum(n for (a, b), n in pairs if wanted[0] in {a, ""} and wanted[1] in {b, ""})

    def as_json(self) -> dict[str, Any]:
        """The complete content as JSON values."""
        times = {step: dict(times.buckets) for step, times in self.times.items()}
        return {name: getattr(self, name) for name in self.__slots__} | {"times": times}

    @classmethod
    def of_json(cls, content: dict[str, Any]) -> Self:
        """The inverse of `as_json`. JSON has turned the integer keys into strings."""
        times = {step: Histogram(_with_integer_keys(buckets)) for step, buckets in content["times"].items()}
        counters = {name: Counter(content[name]) for name in ("responses", "outcomes", "errors")}
        by_second = _with_integer_keys(content["holds_by_second"])
        return cls(**{**content, **counters, "times": times, "holds_by_second": by_second})

    def add(self, other: "Statistics") -> None:
        """Add the statistics of another load process."""
        for name in ("responses", "outcomes", "holds_by_second", "errors"):
            getattr(self, name).update(getattr(other, name))
        for step, times in other.times.items():
            self.times.setdefault(step, Histogram()).buckets.update(times.buckets)
        self.examples = [*self.examples, *other.examples][:EXAMPLES_MAX]
        self.replays += other.replays
        self.late_seconds = max(self.late_seconds, other.late_seconds)


def _with_integer_keys(counts: dict[str, int]) -> Counter[int]:
    return Counter({int(name): count for name, count in counts.items()})
