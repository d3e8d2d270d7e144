"""What is held of a person. Each module names its own parts; the privacy module reads them into one document."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, SQLColumnExpression

#: Any columns.
Rows = Select[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Part:
    """Rows about a person: `rows` selects the columns that they get to read, in the order in which they read them."""

    name: str
    rows: Callable[[UUID], Rows]
    #: The column that says which tenant a row belongs to; None for what belongs to the person alone.
    tenant: SQLColumnExpression[UUID] | None = None
