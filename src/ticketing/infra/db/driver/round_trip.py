"""One round trip: statements that libpq sends together, and their results.

psycopg's own pipeline builds a cursor for each statement and goes through the event loop for each of them, which costs
more than the statements themselves. Here the whole list becomes one write to the socket and one wait. Values are
adapted by psycopg, errors are psycopg's, and the time limits are those of `BoundedConnection.wait`.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from psycopg import AsyncConnection, errors, generators
from psycopg.abc import PQGen
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus, PipelineStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

Row = tuple[Any, ...]

#: Statements prepared per connection. Their texts are constants of the code, so there are fewer; what comes after
#: these is sent unprepared.
PREPARED_MAX = 500

_SUCCESSFUL = {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK, ExecStatus.EMPTY_QUERY, ExecStatus.PIPELINE_SYNC}
_PLACEHOLDER = re.compile(r"%(.)")


class Result:
    """The rows of one statement, after the end of its round trip."""

    __slots__ = ("_next", "_rows", "rowcount")

    def __init__(self) -> None:
        self._rows: list[Row] | None = None
        self._next = 0
        #: Rows that the statement returned or changed.
        self.rowcount = 0

    def fill(self, rows: list[Row], rowcount: int) -> None:
        """Called once, when the round trip has ended."""
        self._rows, self.rowcount = rows, rowcount

    async def fetchone(self) -> Row | None:
        """The next row; None after the last."""
        rows = self._received()
        if self._next == len(rows):
            return None
        self._next += 1
        return rows[self._next - 1]

    async def fetchall(self) -> list[Row]:
        """The rows that have not been fetched."""
        rows, self._next = self._received()[self._next :], len(self._received())
        return rows

    def _received(self) -> list[Row]:
        if self._rows is None:
            raise RuntimeError("a result can be fetched after the end of its round trip")
        return self._rows


class _Statement(NamedTuple):
    """A statement with its adapted values, and where its rows go."""

    query: bytes
    types: tuple[int, ...]
    parameters: Sequence[Any]
    formats: Sequence[Any]
    result: Result


class PreparedStatements:
    """The names of the statements that one connection has prepared."""

    def __init__(self) -> None:
        self._names: dict[tuple[bytes, tuple[int, ...]], bytes] = {}

    def find(self, statement: _Statement) -> bytes | None:
        return self._names.get(statement[:2])

    def next_name(self, offset: int) -> bytes | None:
        """A new name; None when there are too many. `offset` counts the names that were given and not yet added."""
        number = len(self._names) + offset
        return b"round_trip_%d" % number if number < PREPARED_MAX else None

    def add(self, statement: _Statement, name: bytes) -> None:
        self._names[statement[:2]] = name

    def clear(self) -> None:
        """The connection has discarded them all."""
        self._names.clear()


class RoundTrip:
    """Collects statements, and exchanges them for their results."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        """Its adapters and its encoding apply."""
        self._transformer = Transformer(connection)
        self._statements: list[_Statement] = []
        #: Whether the transaction is committed behind the last statement, in the same round trip.
        self.commits = connection.autocommit

    def add(self, query: str, values: Sequence[Any]) -> Result:
        """Add a statement with a `%s` for each value. Raises psycopg.Error for a value that can't be sent."""
        result = Result()
        self._statements.append(self._adapted(query, values, result))
        return result

    def add_all(self, statements: Sequence[tuple[str, Sequence[Any], Result]]) -> None:
        """Add statements, whose results are given, or none of them. Raises as `add`."""
        self._statements += [self._adapted(*statement) for statement in statements]

    def _adapted(self, query: str, values: Sequence[Any], result: Result) -> _Statement:
        transformer = self._transformer
        parameters = transformer.dump_sequence(values, [PyFormat.AUTO] * len(values))
        types, formats = transformer.types or (), transformer.formats or ()
        return _Statement(_numbered(query), types, parameters, formats, result)

    def exchange(self, pgconn: PGconn, prepared: PreparedStatements | None) -> PQGen[None]:
        """Send everything and fill the results; without `prepared`, no statement is prepared.

        A transaction is begun if none is open. One that begins and ends here needs neither BEGIN nor COMMIT: statements
        of a pipeline form a transaction until its synchronization.

        Raises:
            psycopg.Error: of the first statement that failed; the others have not been executed.
        """
        if not self._statements and not (self.commits and _is_in_transaction(pgconn)):
            return
        if self.commits and pgconn.transaction_status == TransactionStatus.INERROR:
            # The server would roll back, and report success.
            raise errors.InFailedSqlTransaction("a transaction with a failed statement can't be committed")
        pgconn.enter_pipeline_mode()
        expected = self._send(pgconn, prepared)
        pgconn.pipeline_sync()
        yield from generators.send(pgconn)
        results: list[PGresult] = []
        while not _is_synchronized(results):
            received = yield from generators.fetch_many(pgconn)
            if not received:  # the connection is lost; the last result says why
                break
            results += received
        else:
            pgconn.exit_pipeline_mode()
        self._receive(prepared, expected, results)

    def _send(self, pgconn: PGconn, prepared: PreparedStatements | None) -> list[tuple[_Statement | None, bytes]]:
        """Write to libpq's buffer. Returns the statement of each result to come, and the name that it prepares."""
        expected: list[tuple[_Statement | None, bytes]] = []
        is_open = _is_in_transaction(pgconn)
        if not is_open and not self.commits:
            pgconn.send_query_params(b"BEGIN", None)
            expected.append((None, b""))
        new: dict[tuple[bytes, tuple[int, ...]], bytes] = {}
        for statement in self._statements:
            name = new.get(statement[:2])
            if prepared is not None and name is None and (name := prepared.find(statement)) is None:
                name = prepared.next_name(len(new))
                if name is not None:
                    new[statement[:2]] = name
                    pgconn.send_prepare(name, statement.query, statement.types)
                    expected.append((statement, name))
            if name is None:
                pgconn.send_query_params(statement.query, statement.parameters, statement.types, statement.formats)
            else:
                pgconn.send_query_prepared(name, statement.parameters, statement.formats)
            expected.append((statement, b""))
        if is_open and self.commits:
            pgconn.send_query_params(b"COMMIT", None)
            expected.append((None, b""))
        return expected

    def _receive(
        self,
        prepared: PreparedStatements | None,
        expected: list[tuple[_Statement | None, bytes]],
        results: list[PGresult],
    ) -> None:
        # A commit that fails at the synchronization has a result of its own.
        surplus: list[tuple[_Statement | None, bytes]] = [(None, b"")] * max(0, len(results) - len(expected))
        for (statement, name), received in zip([*expected, *surplus], results, strict=False):
            if received.status not in _SUCCESSFUL:
                raise errors.error_from_result(received, encoding=self._transformer.encoding)
            if name and prepared is not None and statement is not None:
                prepared.add(statement, name)
            elif statement is not None:
                self._transformer.set_pgresult(received)
                rows = self._transformer.load_rows(0, received.ntuples, tuple) if received.ntuples else []
                statement.result.fill(rows, received.command_tuples or 0)
        if not _is_synchronized(results):
            raise errors.OperationalError("the connection was lost before all results were received")


def roll_back(pgconn: PGconn) -> PQGen[None]:
    """End the open transaction. psycopg would also discard every prepared statement."""
    pgconn.send_query_params(b"ROLLBACK", None)
    yield from generators.send(pgconn)
    (received,) = yield from generators.fetch_many(pgconn)
    if received.status not in _SUCCESSFUL:
        raise errors.error_from_result(received)


def _is_in_transaction(pgconn: PGconn) -> bool:
    return pgconn.transaction_status != TransactionStatus.IDLE


def _is_synchronized(results: list[PGresult]) -> bool:
    return bool(results) and results[-1].status == ExecStatus.PIPELINE_SYNC


def is_in_step(pgconn: PGconn) -> bool:
    """Whether the connection is idle, in no transaction and in no unfinished round trip."""
    return pgconn.pipeline_status == PipelineStatus.OFF and pgconn.transaction_status == TransactionStatus.IDLE


@lru_cache(maxsize=2000)
def _numbered(query: str) -> bytes:
    """The query with `$1`, `$2`, … in place of `%s`; `%%` is a percent sign."""
    number = 0

    def replace(found: re.Match[str]) -> str:
        nonlocal number
        if found[1] == "%":
            return "%"
        if found[1] != "s":
            raise ValueError(f"only %s and %% can follow a percent sign: {found[0]}")
        number += 1
        return f"${number}"

    return _PLACEHOLDER.sub(replace, query).encode()
