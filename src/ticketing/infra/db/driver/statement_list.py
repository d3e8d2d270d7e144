"""Statements that are collected without a connection, to be sent with those of other requests."""

from collections.abc import Sequence
from typing import Any

from ticketing.infra.db.driver.round_trip import Result, RoundTrip


class StatementList:
    """Takes the place of a connection in `pipeline.send`."""

    __slots__ = ("_statements",)

    def __init__(self) -> None:
        self._statements: list[tuple[str, Sequence[Any], Result]] = []

    @property
    def round_trip(self) -> "StatementList":
        """`pipeline.send` adds its statement to the open round trip of a connection, and so to this list."""
        return self

    def add(self, query: str, values: Sequence[Any]) -> Result:
        """Add a statement with a `%s` for each value."""
        result = Result()
        self._statements.append((query, values, result))
        return result

    def add_to(self, round_trip: RoundTrip) -> None:
        """Add all statements to a round trip, or none. Raises psycopg.Error for a value that can't be sent."""
        round_trip.add_all(self._statements)
