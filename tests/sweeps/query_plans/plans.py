"""Plans that PostgreSQL would choose with a million rows in each table, without the rows.

The planner takes a table's size from the length of its file and its number of rows from `pg_class`: both are set, with
empty pages that take no space on disk. Statistics of columns are absent, as in a database that was just restored, so
that an equality matches one row of 200, and every one of a unique key. `auto_explain` logs the plan of each statement
that the application's roles execute, those of foreign keys and functions included.
"""

import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from ticketing.infra.embedded.postgres import APPLICATION, WORKER

ROWS = 1_000_000
#: Pages of 8 KB, with rows of 150 bytes and index entries of 40.
TABLE_PAGES, INDEX_PAGES = 20_000, 5_000
PAGE_BYTES = 8192

# Partial indexes stay as small as they are: they contain the few rows for which they were made.
_FILES = """
select c.oid, c.relkind = 'r' as is_table, pg_relation_filepath(c.oid), c.relname
  from pg_class c left join pg_index i on i.indexrelid = c.oid
 where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'i') and i.indpred is null"""
_LOG = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_nested_statements": "on",
    "auto_explain.log_format": "json",
    "auto_explain.log_parameter_max_length": "0",
    "plan_cache_mode": "force_generic_plan",
}


# Partial indexes are left out: they contain only what they are for.
_FIRST_COLUMNS = """
select c.relname, a.attname from pg_index i
  join pg_class c on c.oid = i.indexrelid
  join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
 where c.relnamespace = 'public'::regnamespace and i.indpred is null"""


def first_columns(connection: psycopg.Connection) -> dict[str, str]:
    """The first column of each index that has all rows of its table."""
    return dict(connection.execute(_FIRST_COLUMNS).fetchall())


def enlarge(connection: psycopg.Connection, data: Path, small: Collection[str]) -> None:
    """Let the planner find a million rows in every table but the `small` ones. Log plans of new connections."""
    for oid, is_table, file, name in connection.execute(_FILES).fetchall():
        if name in small:
            continue
        pages = TABLE_PAGES if is_table else INDEX_PAGES
        if (data / file).stat().st_size < pages * PAGE_BYTES:
            os.truncate(data / file, pages * PAGE_BYTES)
        sizes = (ROWS, os.stat(data / file).st_size // PAGE_BYTES, oid)
        connection.execute("update pg_class set reltuples = %s, relpages = %s where oid = %s", sizes)
        connection.execute("delete from pg_statistic where starelid = %s", [oid])
    # It would count the rows that there are.
    connection.execute("create or replace function analyze_seats() returns void language sql as ''")
    database = connection.info.dbname
    for role in (APPLICATION, WORKER):
        for setting, value in _LOG.items():
            connection.execute(f"alter role {role} in database {database} set {setting} = '{value}'".encode())


@dataclass(frozen=True)
class Scan:
    """A node of a plan that reads a table or an index, below `parents`, and its statement."""

    node: dict[str, Any]
    parents: tuple[dict[str, Any], ...]
    query: str

    @property
    def name(self) -> str:
        """Of the table, or of the index."""
        return str(self.node.get("Index Name") or self.node["Relation Name"])

    def reads_all(self, first_columns: Mapping[str, str]) -> bool:
        """Whether it reads all rows of a table or of an index, unless a LIMIT above it ends it.

        PostgreSQL 18 skips through an index without a condition on its first column. Older ones can't, and it reads as
        much when that column has many values.
        """
        if self.node["Node Type"] == "Seq Scan":
            return True
        first = first_columns.get(self.name)
        if first is None or re.search(rf"\b{first}\b", self.node.get("Index Cond", "")):
            return False
        return "Filter" in self.node or all(parent["Node Type"] != "Limit" for parent in self.parents)


def read_scans(log: bytes) -> Iterator[Scan]:
    """The scans of all plans in a part of the server's log."""
    for found in re.finditer(r"plan:\n(\t?\{.*?\n\t?\})\n", log.decode(), re.DOTALL):
        plan = json.loads(found[1].replace("\n\t", "\n"))
        yield from _scans(plan["Plan"], (), " ".join(plan["Query Text"].split()))


def _scans(node: dict[str, Any], parents: tuple[dict[str, Any], ...], query: str) -> Iterator[Scan]:
    if "Index Name" in node or node["Node Type"] == "Seq Scan":
        yield Scan(node, parents, query)
    for child in node.get("Plans", ()):
        yield from _scans(child, (*parents, node), query)
