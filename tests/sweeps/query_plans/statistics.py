"""Three states of the planner's statistics, made without the rows: none, outdated ones, and those of large tables.

The planner takes a table's size from the length of its file and its number of rows from `pg_class`: both are set, with
empty pages that take no space on disk.
"""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import psycopg

PAGE_BYTES = 8192
#: The last of the states.
LARGE = "10,000,000 rows"
#: Pages of 8 KB, with rows of 150 bytes: a million rows, and ten million (the planner multiplies the density).
GROWN_PAGES, LARGE_PAGES, LARGE_ROWS = 20_000, 100_000, 10_000_000

#: Different values of columns in large tables; other columns have one for every second row.
_VALUES = {
    **dict.fromkeys(("organization_id",), 50),
    **dict.fromkeys(("event_id",), 5000),
    **dict.fromkeys(("venue_id",), 500),
    **dict.fromkeys(("topic", "position", "category"), 30),
    **dict.fromkeys(("plan_version", "unit", "provider", "status", "kind", "type", "outcome", "role"), 4),
    **dict.fromkeys(("consumer", "currency", "result"), 6),
}

# Partial indexes stay as small as they are: they contain the few rows for which they were made.
_FILES = """
select c.oid, c.relkind = 'r', pg_relation_filepath(c.oid), c.relname, coalesce(i.indnatts, 4)
  from pg_class c left join pg_index i on i.indexrelid = c.oid
 where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'i') and i.indpred is null"""
_COLUMNS = """
select attname, atttypid = any(array['boolean', 'smallint']::regtype[]), attnotnull,
       (select option_value::real from pg_options_to_table(attoptions) where option_name = 'n_distinct')
  from pg_attribute where attrelid = %s and attnum > 0 and not attisdropped"""
_RESTORE = """
select pg_restore_attribute_stats('version', 180000, 'schemaname', 'public', 'relname', %s::text, 'attname', %s::text,
                                  'inherited', false, 'null_frac', %s::real, 'avg_width', 16, 'n_distinct', %s::real)"""

# Most reservations have ended; a partial index has the others.
_STATUS_OF_RESERVATIONS = """
select pg_restore_attribute_stats('version', 180000, 'schemaname', 'public', 'relname', 'reservations', 'attname',
    'status', 'inherited', false, 'null_frac', 0::real, 'avg_width', 8, 'n_distinct', 4::real, 'most_common_vals',
    '{confirmed,expired,cancelled,active}'::text, 'most_common_freqs', '{0.6,0.3,0.09,0.01}'::real[])"""


class _File(NamedTuple):
    """The file of a table or of an index, whose size grows with its number of columns."""

    oid: int
    is_table: bool
    path: Path
    name: str
    columns: int

    def pages(self, table_pages: int) -> int:
        return table_pages if self.is_table else table_pages * (2 + self.columns) // 16


class Statistics:
    """Sets the statistics of a database's tables but the `small` ones. `connection` is the superuser's."""

    def __init__(self, connection: psycopg.Connection, data: Path, small: Collection[str]) -> None:
        self._connection, self._data, self._small = connection, data, small

    @property
    def states(self) -> Mapping[str, Callable[[], None]]:
        """In this order: files only grow."""
        return {"none": self._remove, "outdated": self._let_expire, LARGE: self._enlarge}

    def _remove(self) -> None:
        """As after `ticketing migrate` in a new database."""
        tables = "relnamespace = 'public'::regnamespace and relkind in ('r', 'i')"
        self._connection.execute(f"update pg_class set reltuples = -1, relpages = 0 where {tables}".encode())
        self._connection.execute("delete from pg_statistic where starelid >= 16384")
        self._connection.execute("select stabilize_plans()")

    def _let_expire(self) -> None:
        """Analyzed with the few rows that there are; a million rows were added since."""
        self._connection.execute("analyze")
        self._grow(GROWN_PAGES)

    def _enlarge(self) -> None:
        self._grow(LARGE_PAGES)
        for file in self._files():
            sizes = (LARGE_ROWS, file.pages(LARGE_PAGES), file.oid)
            self._connection.execute("update pg_class set reltuples = %s, relpages = %s where oid = %s", sizes)
            for name, is_coarse, is_required, fixed in self._columns_of(file):
                values = fixed or _VALUES.get(name, 10 if is_coarse else -0.5)
                nulls = 0.0 if is_required else 0.5
                self._connection.execute(_RESTORE, [file.name, name, nulls, values])
        self._connection.execute(_STATUS_OF_RESERVATIONS)

    def _columns_of(self, file: _File) -> list[tuple[str, bool, bool, float | None]]:
        return self._connection.execute(_COLUMNS, [file.oid]).fetchall() if file.is_table else []

    def _grow(self, table_pages: int) -> None:
        for file in self._files():
            size = file.pages(table_pages) * PAGE_BYTES
            if file.path.stat().st_size < size:
                os.truncate(file.path, size)

    def _files(self) -> Iterator[_File]:
        for oid, is_table, path, name, columns in self._connection.execute(_FILES).fetchall():
            if name not in self._small:
                yield _File(oid, is_table, self._data / path, name, columns)
