"""Every personal column is exported, or omitted for a reason that the inventory states."""

import re
from uuid import uuid4

import pytest
from sqlalchemy import Column

from ticketing import main  # noqa: F401 (registers every table)
from ticketing.infra.bus import dead_letters  # noqa: F401 (the tables that only workers use)
from ticketing.infra.db import Base
from ticketing.modules.privacy import NOT_EXPORTED, PARTS

#: Parts of column names that indicate personal data.
PERSONAL = re.compile(
    r"email|user|person|people|buyer|holder|actor|subject|address|agent|_by$|caller|display_name|password|phone|secret"
    r"|birth|body|payload|message$|note(?!d_at)|identity|recovery|before$|after$"
)


def refers_to_a_person(column: Column[object]) -> bool:
    points = any(key.column.table.name == "users" for key in column.foreign_keys)
    return points or column.table.name == "users" or bool(PERSONAL.search(column.name))


def name_of(column: Column[object]) -> str:
    return f"{column.table.name}.{column.name}"


def exported() -> set[str]:
    columns = [column for part in PARTS for column in part.rows(uuid4()).selected_columns]
    return {name_of(base) for column in columns for base in column.base_columns}


EVERYTHING = [column for table in Base.metadata.tables.values() for column in table.columns]


@pytest.mark.parametrize("column", [c for c in EVERYTHING if refers_to_a_person(c)], ids=name_of)
def test_personal_columns_are_exported_or_omitted_for_a_reason(column: Column[object]) -> None:
    is_exported, reason = name_of(column) in exported(), NOT_EXPORTED.get(name_of(column))
    assert is_exported != bool(reason), f"{name_of(column)}: export it (personal.py), or say in the inventory why not"


def test_the_inventory_lists_existing_columns_only() -> None:
    assert NOT_EXPORTED.keys() <= {name_of(column) for column in EVERYTHING}


def test_the_parts_of_the_export_have_distinct_names() -> None:
    names = [part.name for part in PARTS]
    assert len(set(names)) == len(names)
