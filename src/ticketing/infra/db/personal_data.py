"""Personal data by module: each module lists its parts, and the privacy module exports them as one document."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, SQLColumnExpression

#: A query with any columns.
Rows = Select[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Part:
    """Rows about one person. `rows` selects the exported columns, in their order in the document."""

    name: str
    rows: Callable[[UUID], Rows]
    #: The column with the row's tenant; None for rows that belong to no tenant.
    tenant: SQLColumnExpression[UUID] | None = None
