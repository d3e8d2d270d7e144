"""A seating plan under construction: seats in the plan's order, numbered from 0, and the rules of every plan.

Both sources of plans (`generated_layout` and `pretix`) add their seats here. Errors carry the path of the
input field that is wrong.
"""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from ticketing.infra.errors import Invalid

SEATS_MAX = 200_000
#: Of all versions of a plan: the status of an event's seats has a character for each.
NUMBERS_MAX = 400_000
#: Versions of a plan.
VERSIONS_MAX = 1_000
SECTIONS_MAX = 200
ROWS_MAX = 500
SEATS_PER_ROW_MAX = 1_000
LABEL_LENGTH_MAX = 200

#: Default colours of categories: distinct in hue, and dark enough for white text.
_COLORS = ("#2563a8", "#b4472f", "#3f7d4e", "#8a5a9e", "#a2731b", "#4f6d7a", "#b0396f", "#5d6b1f")


@dataclass(slots=True)
class Draft:
    """A plan under construction. Seats are stored as parallel lists, one per column, in the form of the INSERT."""

    width: float = 0
    height: float = 0
    #: What the audience looks at, by which the best seats are chosen; None leaves it to the stage or the first row.
    focal_point: dict[str, float] | None = None
    categories: list[dict[str, str]] = field(default_factory=list)
    areas: list[dict[str, Any]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    sections: list[str] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    seats: list[str] = field(default_factory=list)
    seat_categories: list[str] = field(default_factory=list)
    xs: list[float] = field(default_factory=list)
    ys: list[float] = field(default_factory=list)
    #: How the row and the seat are called on tickets and pages; None for "Row A" and "Seat 12".
    row_labels: list[str | None] = field(default_factory=list)
    seat_labels: list[str | None] = field(default_factory=list)
    #: The number of each seat, and its place in the plan's order; None while both are the index in these lists.
    numbers: list[int] | None = None
    _known: set[str] = field(default_factory=set)

    @property
    def capacity(self) -> int:
        return len(self.labels)

    @property
    def layout(self) -> dict[str, Any]:
        """The layout as stored in `SeatingPlan.layout`."""
        size = {"width": self.width, "height": self.height}
        focus = {"focal_point": self.focal_point} if self.focal_point else {}
        return {**size, **focus, "categories": self.categories, "areas": self.areas}

    def add_category(self, name: str, color: str | None = None) -> None:
        self.categories.append({"name": name, "color": color or _COLORS[len(self.categories) % len(_COLORS)]})

    def has_label(self, label: str) -> bool:
        return label in self._known

    def add_seat(
        self,
        section: str,
        row: str,
        seat: str,
        category: str,
        x: float,
        y: float,
        path: str,
        called: tuple[str | None, str | None] = (None, None),
    ) -> None:
        """Add the next seat. `called` is how its row and the seat itself are called.

        Raises:
            Invalid: the label is too long or a duplicate; its field is `path`.
        """
        label = label_of(section, row, seat)
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
        self.row_labels.append(called[0])
        self.seat_labels.append(called[1])

    def chunks(self, size: int) -> Iterator[list[list[Any]]]:
        """Yield the seats as columns, `size` seats at a time.

        The columns are number, label, section, row, seat, category, x, y, row_label, seat_label and position.
        """
        names = (self.labels, self.sections, self.rows, self.seats, self.seat_categories)
        columns = (*names, self.xs, self.ys, self.row_labels, self.seat_labels)
        for start in range(0, self.capacity, size):
            part = slice(start, start + size)
            places = list(range(start, min(start + size, self.capacity)))
            numbers, positions = (
                (places, [None] * len(places)) if self.numbers is None else (self.numbers[part], places)
            )
            yield [numbers, *(column[part] for column in columns), positions]

    def number_as(self, earlier: Mapping[str, int], free: int) -> None:
        """Number the labels of earlier versions as these did, and new labels from `free` on.

        Raises:
            Invalid: the venue would have had more than NUMBERS_MAX different labels.
        """
        numbers = []
        for label in self.labels:
            number = earlier.get(label)
            if number is None:
                number, free = free, free + 1
            numbers.append(number)
        if free > NUMBERS_MAX:
            message = f"All versions of this plan together would have {free:,} different seats"
            raise Invalid(f"{message}; {NUMBERS_MAX:,} are possible. Create a venue for this plan.", field="body")
        self.numbers = None if numbers == list(range(self.capacity)) else numbers


def label_of(section: str, row: str, seat: str) -> str:
    """The name of a seat within its plan, such as `Stalls-A-12`."""
    return f"{section}-{row}-{seat}"


def refuse_too_many(path: str, count: int, limit: int, what: str) -> None:
    """Raise Invalid for the field `path` when `count` exceeds `limit`."""
    if count > limit:
        raise Invalid(f"There are {count:,} {what}; {limit:,} are possible.", field=path)


def refuse_duplicate(name: str, known: Set[str], path: str) -> None:
    """Raise Invalid for the field `path` when `name` is one of `known`."""
    if name in known:
        raise Invalid(f"{name} is there twice.", field=path)
