"""Personal data by module: each module lists its parts, and the privacy module exports them as one document."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, select
from sqlalchemy.orm import InstrumentedAttribute

#: A query with any columns.
Rows = Select[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Part:
    """Rows about one person. `rows` selects the exported columns, in their order in the document."""

    name: str
    rows: Callable[[UUID], Rows]
    #: The column with the row's tenant; None for rows that belong to no tenant.
    tenant: SQLColumnExpression[UUID] | None = None


def locked_in_order(key: InstrumentedAttribute[UUID], *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """The rows that meet the conditions, which the statement locks in order of `key` before it changes any.

    An UPDATE by itself locks rows in the order in which it finds them.
    """
    locked = select(key).where(*conditions).order_by(key).with_for_update().cte("locked")
    return key.in_(select(locked.c[key.key]))
