"""Cursor pagination: a list that grows while it is read neither skips nor repeats a row."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar
from uuid import UUID

import orjson
from fastapi import Depends, Query

from ticketing.infra.errors import Invalid

T = TypeVar("T")


class PageQuery:
    """`?limit=&cursor=`; the cursor is opaque to clients."""

    def __init__(
        self,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        cursor: Annotated[str | None, Query(max_length=2000)] = None,
    ) -> None:
        self.limit = limit
        self.after = _read(cursor) if cursor else None

    def after_id(self) -> UUID:
        """Return the cursor of a list ordered by id alone. Raises Invalid for a cursor of another list."""
        try:
            return UUID(str((self.after or [None])[-1]))
        except ValueError:
            raise Invalid("Use a cursor that an earlier page gave.", field="cursor") from None

    def cut(self, rows: Sequence[T], position: Callable[[T], list[Any]]) -> tuple[list[T], str | None]:
        """Cut `limit + 1` rows to one page. Return it with the next cursor: the `position` of its last row."""
        kept = list(rows[: self.limit])
        return kept, write_cursor(position(kept[-1])) if len(rows) > self.limit else None


Page = Annotated[PageQuery, Depends()]


def write_cursor(position: list[Any]) -> str:
    """Encode a position, a list of strings and integers that ends with the row's id."""
    return base64.urlsafe_b64encode(orjson.dumps(position)).decode().rstrip("=")


def _read(cursor: str) -> list[Any]:
    try:
        position = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        position = None
    if not isinstance(position, list) or not position or not all(_is_storable(p) for p in position):
        raise Invalid("Use a cursor that an earlier page gave.", field="cursor")
    return position


def _is_storable(part: object) -> bool:
    # Postgres raises an error for NUL, for integers beyond bigint, and for a boolean, which is an int in Python.
    return "\0" not in part if isinstance(part, str) else type(part) is int and abs(part) < 2**63
