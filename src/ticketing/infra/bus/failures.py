"""The rule that tells an outage from a message that fails by itself.

- **OUTAGE**: the error says nothing about the message. No server responded, the connection was lost, or the server
  rejects all work: it is starting, stopping, read-only, full, out of connections. The message is retried until the
  outage ends, however long that takes.
- **UNCLEAR**: the message took too long, or lost against other transactions: a timeout of a statement, a lock, a
  transaction or an attempt; a deadlock; no memory left. A stuck database and a message that is too much for it look the
  same, so the database is asked: while it commits other transactions in time, the failure counts as one of the
  message, else as an outage.
- **OWN**: every other error. A handler that raises it has failed.

A message that has failed `CONSUMER_MAX_ATTEMPTS` times is poison (see attempts.py).
"""

from enum import Enum

from sqlalchemy.exc import DBAPIError

from ticketing.infra.db.sqlstates import Effect, effect_of
from ticketing.infra.system.retry import OUTAGES


class Failure(Enum):
    """What an error says about the message that met it."""

    OUTAGE = "outage"
    UNCLEAR = "unclear"
    OWN = "own"


#: SQLSTATEs, or their beginnings, of unclear failures. For a request, all of them are outages (see db/sqlstates.py).
_UNCLEAR = ("25P03", "25P04", "40", "53200", "55006", "55P03", "57014")
#: libpq refuses the statement before it sends it, with an error that has no SQLSTATE, as if the connection were lost.
_TOO_MANY_PARAMETERS = "number of parameters must be between"


def classify(error: BaseException) -> Failure:
    """The kind of an error. See the rule at the top of this file."""
    if isinstance(error, DBAPIError):
        return _classify_database_error(error)
    if isinstance(error, TimeoutError):  # an OSError, which is what asyncio raises as well when time is up
        return Failure.UNCLEAR
    return Failure.OUTAGE if isinstance(error, OUTAGES) else Failure.OWN


def _classify_database_error(error: DBAPIError) -> Failure:
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        is_outage = isinstance(error, OUTAGES) and _TOO_MANY_PARAMETERS not in str(error.orig)
        return Failure.OUTAGE if is_outage else Failure.OWN
    if state.startswith(_UNCLEAR):
        return Failure.UNCLEAR
    return Failure.OWN if effect_of(state) is Effect.FAIL else Failure.OUTAGE
