"""What a failed batch means for its connection and for the client."""

import psycopg
from sqlalchemy.exc import DBAPIError

from ticketing.infra import errors
from ticketing.infra.db.sqlstates import Effect, effect_of

_LOCK_ERRORS = (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled, psycopg.errors.DeadlockDetected)


def is_connection_lost(error: Exception) -> bool:
    """Whether the connection is gone, and not only the transaction."""
    cause = _driver_error(error)
    if isinstance(cause, psycopg.InterfaceError):
        return True
    # An error without a SQLSTATE comes from the client side of the connection.
    state = getattr(cause, "sqlstate", None)
    return isinstance(cause, psycopg.OperationalError) and (not state or effect_of(state) is Effect.RECONNECT)


def client_error(error: Exception) -> Exception:
    """The error that the client gets for a request that failed in a batch of one."""
    cause = _driver_error(error)
    # A lock timeout or a deadlock.
    if isinstance(cause, _LOCK_ERRORS):
        return errors.Overloaded()
    # The server's problem, such as a full disk or no memory left: nothing was changed.
    return errors.Unavailable() if isinstance(cause, psycopg.OperationalError) else error


def _driver_error(error: Exception) -> BaseException | None:
    """The driver's error, whether the statement went through SQLAlchemy or not."""
    return error.orig if isinstance(error, DBAPIError) else error
