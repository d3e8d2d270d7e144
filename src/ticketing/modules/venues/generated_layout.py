"""Drawing a venue that was typed in: sections become blocks side by side, rows lines, and the best row is in front."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

from ticketing.infra.errors import Invalid
from ticketing.modules.venues.plans import SEATS_MAX, Draft, refuse_too_many
from ticketing.modules.venues.schemas import CreateSection

#: Units of the plan, as in the plans that are imported: a seat is 20 wide.
SEAT_PITCH = 24.0
ROW_PITCH = 28.0
GANGWAY = 72.0


@dataclass(frozen=True, slots=True)
class Block:
    """A section and the rectangle it takes, from its top left seat to its bottom right one."""

    section: CreateSection
    path: str

    @property
    def width(self) -> float:
        return (max(row.seats for row in self.section.rows) - 1) * SEAT_PITCH

    @property
    def height(self) -> float:
        return (len(self.section.rows) - 1) * ROW_PITCH


def draw_sections(sections: Sequence[CreateSection]) -> Draft:
    """A plan with positions, in the order of the sections and their rows.

    Raises:
        Invalid: two sections, or two rows of a section, have one name, or there are too many seats.
    """
    seats = sum(row.seats for section in sections for row in section.rows)
    refuse_too_many({"sections": seats}, SEATS_MAX, "seats")
    _refuse_twins([section.name for section in sections], "sections.{}.name")
    draft = Draft()
    for category in dict.fromkeys(section.category for section in sections):
        draft.add_category(category)
    blocks = [Block(section, f"sections.{index}") for index, section in enumerate(sections)]
    _draw_shelves(draft, blocks)
    return draft


def _draw_shelves(draft: Draft, blocks: list[Block]) -> None:
    """Blocks stand on shelves, about as many beside each other as shelves below each other, each shelf centred."""
    across = ceil(sqrt(len(blocks)))
    shelves = [blocks[start : start + across] for start in range(0, len(blocks), across)] if blocks else []
    widths = [sum(block.width for block in shelf) + GANGWAY * (len(shelf) - 1) for shelf in shelves]
    y = GANGWAY
    for shelf, width in zip(shelves, widths, strict=True):
        x = GANGWAY + (max(widths) - width) / 2
        for block in shelf:
            _draw_block(draft, block, x, y)
            x += block.width + GANGWAY
        y += max(block.height for block in shelf) + GANGWAY
    draft.width, draft.height = max(widths, default=0.0) + 2 * GANGWAY, y


def _draw_block(draft: Draft, block: Block, left: float, top: float) -> None:
    section = block.section
    _refuse_twins([row.name for row in section.rows], f"{block.path}.rows.{{}}.name")
    for index, row in enumerate(section.rows):
        x = left + (block.width - (row.seats - 1) * SEAT_PITCH) / 2
        y = top + index * ROW_PITCH
        path = f"{block.path}.rows.{index}"
        for place in range(row.seats):
            number = str(place + 1)
            draft.add_seat(section.name, row.name, number, section.category, x + place * SEAT_PITCH, y, path)


def _refuse_twins(names: Sequence[str], path: str) -> None:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            raise Invalid(f"There are two with the name {name}.", field=path.format(index))
        seen.add(name)
