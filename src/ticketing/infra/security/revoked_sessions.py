"""Log-ins that were ended while access tokens of theirs still run, as far as this process knows: a look-up in memory.

A token is verified without a database, so something has to say that its log-in is over. The process that ends a log-in
knows at once, after its commit; the others read the table about once a second. A log-in never begins again, so an entry
is right for as long as it stands, and it may go when every token of the log-in has run out.
"""

import time
from collections.abc import Iterable
from uuid import UUID

from ticketing.infra.config import ACCESS_TOKEN_SECONDS_MAX


class EndedSessions:
    """A set that forgets what is older than any access token. Time is the machine's steady clock."""

    def __init__(self) -> None:
        # In the order of their ends, since a new one always has the longest time before it.
        self._forget_at: dict[UUID, float] = {}

    def __contains__(self, session_id: UUID) -> bool:
        return session_id in self._forget_at

    def __len__(self) -> int:
        return len(self._forget_at)

    def add(self, session_ids: Iterable[UUID]) -> None:
        """Know of these as well, and forget those that no token speaks of any more."""
        now = time.monotonic()
        for session_id in session_ids:
            self._forget_at.setdefault(session_id, now + ACCESS_TOKEN_SECONDS_MAX)
        while self._forget_at and (oldest := next(iter(self._forget_at.items())))[1] <= now:
            del self._forget_at[oldest[0]]


#: This process's own.
ended_sessions = EndedSessions()
