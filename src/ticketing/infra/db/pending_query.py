"""A query whose rows are fetched after the round trip that it was sent in."""

from collections.abc import Callable
from typing import Generic, TypeVar

from ticketing.infra.db.pipeline import Cursor

T = TypeVar("T")


class PendingQuery(Generic[T]):
    """One or more statements that were sent in a pipeline; `fetch` turns their rows into a `T`.

    A module's function sends its statements and returns a `PendingQuery`, so that the statements of several modules
    share one round trip. `fetch` belongs after the end of the pipeline: inside, it waits for everything sent so far.
    """

    def __init__(self, parse: Callable[..., T], *cursors: Cursor) -> None:
        """`parse` takes the rows of each cursor, in the order of the cursors."""
        self._parse, self._cursors = parse, cursors

    async def fetch(self) -> T:
        """Return the parsed rows. Raises whatever `parse` raises."""
        return self._parse(*[await cursor.fetchall() for cursor in self._cursors])
