"""Logs why the database is unavailable, in the server's words, once per outage and process.

The code that meets an outage logs only its kind, once per request or attempt. The text names what to mend ("password
authentication failed", "too many connections", "cannot execute INSERT in a read-only transaction"). The texts of these
errors contain host, user and database names, and neither passwords nor values of rows.
"""

import math
import time

import psycopg

from ticketing.infra import log
from ticketing.infra.db.sqlstates import Effect, effect_of

#: An outage is over when its text has not occurred for this long; the next time, it is logged again.
QUIET_SECONDS = 60.0
#: Distinct texts that are remembered.
TEXTS_MAX = 100

_log = log.get_logger(__name__)
_last_at: dict[str, float] = {}


def record_failed_connect(error: psycopg.Error) -> None:
    """Log why no connection could be opened."""
    _record("database_connect_failed", " ".join(str(error).split()))


def record_outage(error: psycopg.Error) -> None:
    """Log an error of an open connection that is about the server: lost, read-only, out of memory or disk space."""
    code = error.sqlstate or ""
    if effect_of(code) is Effect.RECONNECT or code.startswith(("53", "58")):
        _record("database_outage", error.diag.message_primary or type(error).__name__, sqlstate=code)


def _record(event: str, words: str, **fields: str) -> None:
    now = time.monotonic()
    is_new = now - _last_at.get(words, -math.inf) >= QUIET_SECONDS
    if len(_last_at) >= TEXTS_MAX:
        _last_at.clear()
    _last_at[words] = now
    if is_new:
        _log.warning(event, error=log.redact(words), **fields)
