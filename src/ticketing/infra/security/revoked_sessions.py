"""Sessions that were ended while their access tokens are still valid: an in-memory set per process.

Access tokens are verified without a database, so a revocation needs its own look-up. The process that ends a session
knows after its commit; the others read the table about once per second. A session never restarts, so an entry stays
correct; it is dropped once every access token of the session has expired.
"""

import time
from collections.abc import Iterable
from uuid import UUID

from ticketing.infra.config import ACCESS_TOKEN_SECONDS_MAX


class RevokedSessions:
    """A set whose entries expire after the longest lifetime of an access token, by the monotonic clock."""

    def __init__(self) -> None:
        # Insertion order is expiry order, since every entry has the same lifetime.
        self._expires_at: dict[UUID, float] = {}

    def __contains__(self, session_id: UUID) -> bool:
        return session_id in self._expires_at

    def __len__(self) -> int:
        return len(self._expires_at)

    def add(self, session_ids: Iterable[UUID]) -> None:
        """Add sessions, and drop those whose access tokens have all expired."""
        now = time.monotonic()
        for session_id in session_ids:
            self._expires_at.setdefault(session_id, now + ACCESS_TOKEN_SECONDS_MAX)
        while self._expires_at and (oldest := next(iter(self._expires_at.items())))[1] <= now:
            del self._expires_at[oldest[0]]


#: The set of this process.
revoked_sessions = RevokedSessions()
