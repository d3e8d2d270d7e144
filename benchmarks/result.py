"""A measured figure and its bar."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Result:
    """A ratio: at most the bar, or at least the bar if `at_most` is false. Without a bar it is only printed."""

    name: str
    value: float
    bar: float | None
    meaning: str
    at_most: bool = True

    @property
    def is_met(self) -> bool:
        if self.bar is None:
            return True
        return self.value <= self.bar if self.at_most else self.value >= self.bar

    @property
    def bar_text(self) -> str:
        return "no bar" if self.bar is None else f"{'<=' if self.at_most else '>='} {self.bar:g}"

    @property
    def verdict(self) -> str:
        if self.bar is None:
            return ""
        return "holds" if self.is_met else "MISSED"

    def as_entry(self) -> dict[str, Any]:
        return {"value": round(self.value, 3), "bar": self.bar, "holds": self.is_met, "meaning": self.meaning}
