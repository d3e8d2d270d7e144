"""A parsed plan as the response of a preview: counts, categories, warnings, and the layout to draw."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson

from ticketing.modules.venues import pretix
from ticketing.modules.venues.plans import Draft

#: Seats per part of the response: objects for all seats of a stadium at once would take ten times its size.
CHUNK_SEATS = 5_000

_COLUMNS = ("number", "label", "section", "row", "seat", "category", "x", "y", "row_label", "seat_label")
#: Left out where they are None, as in an event's seat map.
_OPTIONAL = ("row_label", "seat_label")


def render(plan: pretix.Plan) -> bytes:
    """The JSON of a `PreviewOut` in its envelope. Slow for a stadium: call it in a thread."""
    draft = plan.draft
    described = {
        "name": plan.name,
        "capacity": draft.capacity,
        "categories": _count_categories(draft),
        "sections": _count_sections(draft),
        "warnings": plan.warnings,
        "more_warnings": plan.more_warnings,
    }
    layout = orjson.dumps({"plan_version": None, **draft.layout}).removesuffix(b"}")
    return b"".join(
        (
            b'{"success":true,"message":"OK","data":',
            orjson.dumps(described).removesuffix(b"}"),
            b',"layout":',
            layout,
            b',"seats":[',
            b",".join(_seats(draft)),
            b']}},"meta":null}',
        )
    )


def _seats(draft: Draft) -> Iterator[bytes]:
    for columns in draft.chunks(CHUNK_SEATS):
        seats: list[dict[str, Any]] = [
            {
                name: value
                for name, value in zip(_COLUMNS, seat, strict=False)
                if value is not None or name not in _OPTIONAL
            }
            for seat in zip(*columns, strict=True)
        ]
        yield orjson.dumps(seats)[1:-1]


def _count_categories(draft: Draft) -> list[dict[str, Any]]:
    seats = Counter(draft.seat_categories)
    return [{**category, "seats": seats[category["name"]]} for category in draft.categories]


def _count_sections(draft: Draft) -> list[dict[str, Any]]:
    seats = Counter(draft.sections)
    rows = Counter(section for section, _ in dict.fromkeys(zip(draft.sections, draft.rows, strict=True)))
    return [{"name": section, "rows": rows[section], "seats": seats[section]} for section in seats]
