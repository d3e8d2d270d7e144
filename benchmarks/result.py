"""One figure, and the bar that it has to clear."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Result:
    """A ratio. `at_most` says on which side of the bar it has to stay."""

    name: str
    value: float
    bar: float
    meaning: str
    at_most: bool = True

    @property
    def holds(self) -> bool:
        return self.value <= self.bar if self.at_most else self.value >= self.bar

    @property
    def bar_text(self) -> str:
        return f"{'<=' if self.at_most else '>='} {self.bar:g}"

    def as_entry(self) -> dict[str, Any]:
        return {"value": round(self.value, 3), "bar": self.bar, "holds": self.holds, "meaning": self.meaning}
