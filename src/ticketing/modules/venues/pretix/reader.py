"""Import of seating plans in pretix's open JSON format: zones become sections, and all positions are kept.

A file is read as it is meant, with a warning where it had to be changed: names that are empty or appear twice, shapes
that cannot be drawn. What cannot be guessed (a seat without a position, a category that is not listed) is a fault, and
all faults are reported at once. Rows are validated one at a time: validating a stadium's plan in one call would keep
the GIL, and would block the event loop even from a thread.
"""

import asyncio
import unicodedata
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from pydantic import ValidationError

from ticketing.modules.venues.plans import SEATS_MAX, Draft, label_of
from ticketing.modules.venues.pretix import faults
from ticketing.modules.venues.pretix.areas import AREAS_MAX, Area, Part
from ticketing.modules.venues.pretix.faults import Report
from ticketing.modules.venues.pretix.files import Path, read_file
from ticketing.modules.venues.pretix.names import Block, Spot, number_unnamed, numbered, say, tell_apart
from ticketing.modules.venues.pretix.parts import Category, Frame, Row, Size, Tint, Zone

#: Files parsed at a time in a process.
PARSING_MAX = 2
#: The category of seats that name none.
UNNAMED_CATEGORY = "Standard"

_parsing = asyncio.Semaphore(PARSING_MAX)

PartType = TypeVar("PartType", bound=Part)


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan with the name in its file, and the places of the file that were read differently than they are written."""

    name: str
    draft: Draft
    warnings: Sequence[dict[str, Any]] = ()
    more_warnings: int = 0


async def parse_plan(file: bytes) -> Plan:
    """Parse a file in a thread, PARSING_MAX at a time: a stadium takes seconds, and many times its size in memory.

    Raises what `read_plan` raises.
    """
    async with _parsing:
        return await asyncio.to_thread(read_plan, file)


def read_plan(content: bytes) -> Plan:
    """Parse and validate a file. Slow for a stadium: call it in a thread.

    Raises:
        BadRequest: the file is not JSON.
        Invalid: its field is the path of the first fault, such as `zones.0.rows.3.seats.7.category`; `faults` has the
            first 100, each with its place in the file, and `more_faults` is the number of the others.
    """
    file, report = read_file(content), Report()
    frame = _check(Frame, file.document, (), report)
    if frame is not None:
        draft = _Reader(report).read(frame)
        if not report.faults.listed:
            faults.warn_of_duplicate_keys(report, file)
            warnings = faults.located(file, report.warnings)
            return Plan(frame.name, draft, warnings, report.warnings.more)
    report.raise_faults(file)
    raise AssertionError("a file without a frame has faults")


class _Reader:
    """Reads one file into a draft."""

    def __init__(self, report: Report) -> None:
        self._report, self._draft, self._seats = report, Draft(), 0
        #: The category that each name in the file means.
        self._categories = dict[str, str]()

    def read(self, frame: Frame) -> Draft:
        self._read_categories(frame.categories)
        blocks = [block for index, zone in enumerate(frame.zones) for block in self._read_zone(zone, index)]
        if not self._report.faults.listed:
            tell_apart(blocks, self._report)
            for block in blocks:
                self._add_seats(block)
            self._measure(frame.size)
            self._draft.focal_point = frame.focal_point.model_dump() if frame.focal_point else None
        return self._draft

    def _read_categories(self, raw: list[Any]) -> None:
        for index, part in enumerate(raw):
            path: Path = ("categories", index)
            category = _check(Category, part, path, self._report)
            if category is None:
                continue
            if category.name in self._categories:
                self._report.faults.add(
                    (*path, "name"), f"{category.name or 'A category without a name'} is there twice."
                )
                continue
            name = category.name or _unnamed_category(_names_in(raw))
            if not category.name:
                self._report.warnings.add(path, f"This category has no name; it is {name}.")
            self._categories[category.name] = name
            tint = self._decoration(Tint, {"color": category.color}, path, "This color was left out")
            self._draft.add_category(name, tint.color if tint else None)

    def _category_of(self, name: str, path: Path) -> str:
        if name not in self._categories:
            if name:
                self._report.faults.add((*path, "category"), "There is no category of this name in `categories`.")
                return ""
            self._categories[""] = _unnamed_category({category["name"] for category in self._draft.categories})
            self._draft.add_category(self._categories[""])
            message = f"Seats have no category, this one first; they are in {self._categories['']}."
            self._report.warnings.add(path, message)
        return self._categories[name]

    def _read_zone(self, raw: Any, index: int) -> Iterator[Block]:
        path: Path = ("zones", index)
        zone = _check(Zone, raw, path, self._report)
        if zone is None:
            return
        section = zone.name or zone.zone_id
        if not section:
            section = f"Zone {index + 1}"
            self._report.warnings.add(path, f"This zone has no name; it is {section}.")
        rows = [_check(Row, part, (*path, "rows", n), self._report) for n, part in enumerate(zone.rows)]
        named = number_unnamed(row.row_number if row else "-" for row in rows)
        for n, row in enumerate(rows):
            if row is not None:
                yield self._read_row(row, named[n], zone, section, (*path, "rows", n))
            else:
                self._check_categories(zone.rows[n], (*path, "rows", n))
        self._read_areas(zone, path)

    def _check_categories(self, raw: Any, path: Path) -> None:
        """Find the unknown categories of a row that has other faults, so that one look at the file is enough."""
        seats = raw.get("seats") if isinstance(raw, dict) else None
        for place, seat in enumerate(seats if isinstance(seats, list) else ()):
            category = seat.get("category") if isinstance(seat, dict) else None
            if isinstance(category, str) and category.strip():
                self._category_of(unicodedata.normalize("NFC", category).strip(), (*path, "seats", place))

    def _read_row(self, row: Row, name: str, zone: Zone, section: str, path: Path) -> Block:
        if not row.row_number:
            self._report.warnings.add(path, f"This row has no name; it is {name}.")
        self._count(len(row.seats), path)
        corner = zone.position + row.position
        names = number_unnamed(seat.seat_number for seat in row.seats)
        if unnamed := sum(not seat.seat_number for seat in row.seats):
            self._report.warnings.add(path, f"Seats without a name were numbered: {unnamed:,}.")
        spots = []
        for place, seat in enumerate(row.seats):
            category = self._category_of(seat.category, (*path, "seats", place))
            x, y = corner.x + seat.position.x, corner.y + seat.position.y
            spots.append(Spot(names[place], category, x, y, seat.seat_label or row.seat_label or None))
        return Block(path, section, name, row.row_label or None, spots)

    def _count(self, seats: int, path: Path) -> None:
        before, self._seats = self._seats, self._seats + seats
        if before <= SEATS_MAX < self._seats:
            message = f"There are {self._seats:,} seats up to here; {SEATS_MAX:,} are possible."
            self._report.faults.add((*path, "seats"), message)

    def _read_areas(self, zone: Zone, path: Path) -> None:
        path = (*path, "areas")
        areas = [] if zone.areas is None else zone.areas
        if not isinstance(areas, list):
            self._report.warnings.add(path, "The shapes were left out: they are not a list.")
            return
        for index, raw in enumerate(areas):
            if index == AREAS_MAX:
                self._report.warnings.add((*path, index), f"Shapes after the first {AREAS_MAX:,} were left out.")
                return
            area = self._decoration(Area, raw, (*path, index), "This shape was left out")
            if area is not None:
                self._draft.areas.append(area.placed(zone.position))
                reach = area.reach(zone.position)
                self._draft.width = max(self._draft.width, reach.x)
                self._draft.height = max(self._draft.height, reach.y)

    def _decoration(self, model: type[PartType], raw: Any, path: Path, what: str) -> PartType | None:
        """A part that no seat depends on; None, with a warning, when it is not valid."""
        try:
            return model.model_validate(raw)
        except ValidationError as error:
            self._report.leave_out(path, what, error)
            return None

    def _add_seats(self, block: Block) -> None:
        row_called = say(block.row_said, block.row)
        for place, spot in enumerate(block.spots):
            path = ".".join(map(str, (*block.path, "seats", place, "seat_number")))
            name = spot.name
            # Section A-B with row 1, and section A with row B-1, would have the same label.
            if self._is_taken(block, name):
                name = numbered(name, 2, partial(self._is_taken, block))
            called = row_called, say(spot.said, name)
            self._draft.add_seat(block.section, block.row, name, spot.category, spot.x, spot.y, path, called)

    def _is_taken(self, block: Block, name: str) -> bool:
        return self._draft.has_label(label_of(block.section, block.row, name))

    def _measure(self, raw: Any) -> None:
        """Set the size given in the file, or else the size that the seats and areas need."""
        draft = self._draft
        size = None if raw is None else self._decoration(Size, raw, ("size",), "The size of the plan was measured")
        if size is not None:
            draft.width, draft.height = size.width, size.height
        else:
            draft.width = max([draft.width, *draft.xs])
            draft.height = max([draft.height, *draft.ys])


def _unnamed_category(taken: Set[str]) -> str:
    return numbered(UNNAMED_CATEGORY, 2, taken.__contains__) if UNNAMED_CATEGORY in taken else UNNAMED_CATEGORY


def _names_in(categories: list[Any]) -> set[str]:
    names = (part.get("name") for part in categories if isinstance(part, dict))
    return {name for name in names if isinstance(name, str)}


def _check(model: type[PartType], raw: Any, path: Path, report: Report) -> PartType | None:
    """The valid part; None, with its faults in the report, when it is not."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        report.refuse(path, error)
        return None
