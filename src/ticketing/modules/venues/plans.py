"""A seating plan on its way in: its seats in the plan's order, numbered from 0, and the rules that every plan obeys.

Whoever draws up a plan (typed-in sections, or a file of another program) adds seats here and is told what is wrong
with the path of the input that can be changed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ticketing.infra.errors import Invalid

SEATS_MAX = 200_000
SECTIONS_MAX = 200
ROWS_MAX = 500
SEATS_PER_ROW_MAX = 1_000
LABEL_LENGTH_MAX = 200

#: Colours for categories that come without one: apart in hue, and dark enough to carry white text.
_COLORS = ("#2563a8", "#b4472f", "#3f7d4e", "#8a5a9e", "#a2731b", "#4f6d7a", "#b0396f", "#5d6b1f")


@dataclass(slots=True)
class Draft:
    """A plan that is being drawn up. The lists run in parallel, one entry a seat: that is how they are inserted."""

    width: float = 0
    height: float = 0
    categories: list[dict[str, str]] = field(default_factory=list)
    areas: list[dict[str, Any]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    sections: list[str] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    seats: list[str] = field(default_factory=list)
    seat_categories: list[str] = field(default_factory=list)
    xs: list[float] = field(default_factory=list)
    ys: list[float] = field(default_factory=list)
    _known: set[str] = field(default_factory=set)

    @property
    def capacity(self) -> int:
        return len(self.labels)

    @property
    def layout(self) -> dict[str, Any]:
        """What surrounds the seats, as it is stored with the plan."""
        size = {"width": self.width, "height": self.height}
        return {**size, "categories": self.categories, "areas": self.areas}

    def add_category(self, name: str, color: str | None = None) -> None:
        self.categories.append({"name": name, "color": color or _COLORS[len(self.categories) % len(_COLORS)]})

    def add_seat(self, section: str, row: str, seat: str, category: str, x: float, y: float, path: str) -> None:
        """Add the next seat.

        Raises:
            Invalid: the label is too long, or taken; the field is `path`.
        """
        label = f"{section}-{row}-{seat}"
        if len(label) > LABEL_LENGTH_MAX:
            raise Invalid(f"The label would have more than {LABEL_LENGTH_MAX} characters.", field=path)
        if label in self._known:
            raise Invalid(f"There are two seats with the label {label}.", field=path)
        self._known.add(label)
        self.labels.append(label)
        self.sections.append(section)
        self.rows.append(row)
        self.seats.append(seat)
        self.seat_categories.append(category)
        self.xs.append(x)
        self.ys.append(y)

    def chunks(self, size: int) -> Iterator[dict[str, Any]]:
        """The seats as columns, `size` at a time, under the names of the table's columns."""
        for start in range(0, self.capacity, size):
            part = slice(start, start + size)
            yield {
                "numbers": list(range(start, min(start + size, self.capacity))),
                "labels": self.labels[part],
                "sections": self.sections[part],
                "rows": self.rows[part],
                "seats": self.seats[part],
                "categories": self.seat_categories[part],
                "xs": self.xs[part],
                "ys": self.ys[part],
            }


def refuse_too_many(counts: dict[str, int], most: int, what: str) -> None:
    """Raises Invalid naming the first path whose count exceeds `most`."""
    for path, count in counts.items():
        if count > most:
            raise Invalid(f"There are {count:,} {what}; {most:,} are possible.", field=path)
