"""Generate a seating plan from sections and rows: each section becomes a block, with its first row in front."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

from ticketing.modules.venues.plans import SEATS_MAX, Draft, refuse_duplicate, refuse_too_many
from ticketing.modules.venues.schemas import CreateSection

#: In units of the plan, the same as in imported plans: a seat is 20 units wide.
SEAT_PITCH = 24.0
ROW_PITCH = 28.0
GANGWAY = 72.0


@dataclass(frozen=True, slots=True)
class Block:
    """A section and the rectangle that it covers, from its top left to its bottom right seat."""

    section: CreateSection
    path: str

    @property
    def width(self) -> float:
        return (max(row.seats for row in self.section.rows) - 1) * SEAT_PITCH

    @property
    def height(self) -> float:
        return (len(self.section.rows) - 1) * ROW_PITCH


def draw_sections(sections: Sequence[CreateSection]) -> Draft:
    """Draw a plan. Seats are numbered in the order of the sections and their rows.

    Raises:
        Invalid: two sections, or two rows of a section, have the same name, or there are too many seats.
    """
    seats = sum(row.seats for section in sections for row in section.rows)
    refuse_too_many("sections", seats, SEATS_MAX, "seats")
    _refuse_duplicates([section.name for section in sections], "sections.{}.name")
    draft = Draft()
    for category in dict.fromkeys(section.category for section in sections):
        draft.add_category(category)
    blocks = [Block(section, f"sections.{index}") for index, section in enumerate(sections)]
    _draw_grid(draft, blocks)
    return draft


def _draw_grid(draft: Draft, blocks: list[Block]) -> None:
    """Arrange the blocks in a grid that is about as wide as it is high, with each line of blocks centred."""
    columns = ceil(sqrt(len(blocks)))
    lines = [blocks[start : start + columns] for start in range(0, len(blocks), columns)] if blocks else []
    widths = [sum(block.width for block in line) + GANGWAY * (len(line) - 1) for line in lines]
    y = GANGWAY
    for line, width in zip(lines, widths, strict=True):
        x = GANGWAY + (max(widths) - width) / 2
        for block in line:
            _draw_block(draft, block, x, y)
            x += block.width + GANGWAY
        y += max(block.height for block in line) + GANGWAY
    draft.width, draft.height = max(widths, default=0.0) + 2 * GANGWAY, y


def _draw_block(draft: Draft, block: Block, left: float, top: float) -> None:
    section = block.section
    _refuse_duplicates([row.name for row in section.rows], f"{block.path}.rows.{{}}.name")
    for index, row in enumerate(section.rows):
        x = left + (block.width - (row.seats - 1) * SEAT_PITCH) / 2
        y = top + index * ROW_PITCH
        path = f"{block.path}.rows.{index}"
        for place in range(row.seats):
            number = str(place + 1)
            draft.add_seat(section.name, row.name, number, section.category, x + place * SEAT_PITCH, y, path)


def _refuse_duplicates(names: Sequence[str], path: str) -> None:
    seen: set[str] = set()
    for index, name in enumerate(names):
        refuse_duplicate(name, seen, path.format(index))
        seen.add(name)
