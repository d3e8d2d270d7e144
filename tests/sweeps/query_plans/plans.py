"""The statements that the platform executes, and their plans.

`auto_explain` logs each statement that the application's roles execute, those of foreign keys and functions included.
Each is then explained again, with the settings of the platform's connections, under other statistics.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import psycopg

from ticketing.infra.db import planning
from ticketing.infra.embedded.postgres import APPLICATION, SUPERUSER, WORKER, EmbeddedPostgres

_LOG = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_nested_statements": "on",
    "auto_explain.log_format": "json",
    "auto_explain.log_parameter_max_length": "0",
}

# Partial indexes are left out: they contain only what they are for.
_FIRST_COLUMNS = """
select c.relname, a.attname from pg_index i
  join pg_class c on c.oid = i.indexrelid
  join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
 where c.relnamespace = 'public'::regnamespace and i.indpred is null"""


_INDEXES = """
select c.relname, t.relname, array_agg(a.attname::text), i.indisunique, i.indpred is not null from pg_index i
  join pg_class c on c.oid = i.indexrelid
  join pg_class t on t.oid = i.indrelid
  join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
 where c.relnamespace = 'public'::regnamespace group by 1, 2, 4, 5"""


class Index(NamedTuple):
    """An index, its table, and the columns of its key."""

    table: str
    columns: frozenset[str]
    is_unique: bool
    is_partial: bool


class Statement(NamedTuple):
    """A statement, and the role that executed it."""

    role: str
    query: str


def first_columns(connection: psycopg.Connection) -> dict[str, str]:
    """The first column of each index that has all rows of its table."""
    return dict(connection.execute(_FIRST_COLUMNS).fetchall())


def all_indexes(connection: psycopg.Connection) -> dict[str, Index]:
    """The indexes by their names."""
    found = connection.execute(_INDEXES).fetchall()
    return {name: Index(table, frozenset(columns), *kinds) for name, table, columns, *kinds in found}


def log_statements(connection: psycopg.Connection) -> None:
    """Log the plan of each statement of new connections."""
    for role in (APPLICATION, WORKER):
        for setting, value in _LOG.items():
            alter = f"alter role {role} in database {connection.info.dbname} set {setting} = '{value}'"
            connection.execute(alter.encode())


def read_statements(log: bytes, role: str) -> set[Statement]:
    """The statements in a part of the server's log."""
    found = re.findall(r"plan:\n(\t?\{.*?\n\t?\})\n", log.decode(), re.DOTALL)
    return {Statement(role, json.loads(plan.replace("\n\t", "\n"))["Query Text"]) for plan in found}


@dataclass(frozen=True)
class Scan:
    """A node of a plan that reads a table or an index, below `parents`."""

    node: dict[str, Any]
    parents: tuple[dict[str, Any], ...]

    @property
    def name(self) -> str:
        """Of the table, or of the index."""
        return str(self.node.get("Index Name") or self.node["Relation Name"])

    def access(self, indexes: Mapping[str, Index]) -> str:
        """The table and the columns with a condition: how many rows it reads, whatever the rest of the plan is.

        Indexes that begin with these columns are alike, two unique indexes too, and so are the partitions of the log.
        """
        columns = {*re.findall(r"\(+(?:\w+\.)?\"?(\w+)\"? (?:=|<|>|<=|>=) ", self.node.get("Index Cond", ""))}
        index = indexes.get(self.name)
        if index is None or index.is_partial:
            return self.name
        if index.is_unique and columns >= index.columns:
            return f"one row of {index.table}"
        return f"{re.sub(r'_20[0-9]{6}', '', index.table)} ({', '.join(sorted(columns))})"

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


class Explainer:
    """Explains statements under the statistics of the moment, as the connections of the platform would execute them."""

    def __init__(self, postgres: EmbeddedPostgres, database: str, settings: Mapping[str, str] | None = None) -> None:
        options = planning.options() if settings is None else [f"-c {k}={v}" for k, v in settings.items()]
        self._connections = {
            role: psycopg.connect(
                postgres.url(database, role).replace("+psycopg", ""),
                autocommit=True,
                options=" ".join([*options, "-c auto_explain.log_min_duration=-1"]),
            )
            for role in (APPLICATION, WORKER, SUPERUSER)
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections.values():
            connection.close()

    def explain(self, statements: Collection[Statement]) -> dict[Statement, list[Scan]]:
        """The scans of each statement's plan, without those that PostgreSQL cannot plan apart from their function."""
        found = {statement: self._plan(statement) for statement in statements}
        return {statement: list(_scans(plan, ())) for statement, plan in found.items() if plan is not None}

    def _plan(self, statement: Statement) -> dict[str, Any] | None:
        query, connection = statement.query, self._connections[statement.role]
        # The reader of the log sorts nothing (see `reader.MOVE_SETTINGS`).
        reads_log = statement.role == WORKER and re.search(r"from\s+outbox\b", query) is not None
        for _ in range(8):
            try:
                connection.execute(f"set enable_sort = {'off' if reads_log else 'on'}".encode())
                ((plan,),) = connection.execute(f"explain (generic_plan, format json) {query}".encode()).fetchall()
            except psycopg.errors.InsufficientPrivilege:  # a statement of a foreign key, or of its owner's function
                connection = self._connections[SUPERUSER]
            except psycopg.Error as error:
                if (repaired := _with_parameters(query, error)) == query:
                    return None
                query = repaired
            else:
                return dict(plan[0]["Plan"])
        return None


def _with_parameters(query: str, error: psycopg.Error) -> str:
    """The statement with the types of intervals, and with parameters in place of a function's variables."""
    if missing := re.search(r'column "?(\w+)"? does not exist', str(error)):
        number = len({*re.findall(r"\$\d+", query)}) + 1
        return re.sub(rf"(?<![.\w]){missing[1]}(?![.\w])", f"${number}", query)
    return re.sub(r"([-+] \$\d+)(?!\d|::)", r"\1::interval", query)


def _scans(node: dict[str, Any], parents: tuple[dict[str, Any], ...]) -> Iterator[Scan]:
    if "Index Name" in node or node["Node Type"] == "Seq Scan":
        yield Scan(node, parents)
    for child in node.get("Plans", ()):
        yield from _scans(child, (*parents, node))
