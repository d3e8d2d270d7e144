"""What each SQLSTATE of PostgreSQL means for the work: the server cannot do it now, or the statement is at fault.

psycopg's classes follow the standard's groups, which mix the two: a read-only server is an `InternalError`, and a value
that is too large for an index is an `OperationalError`. `BoundedConnection` raises every error of a server as the class
that this table implies, so the rest of the code needs only psycopg's and SQLAlchemy's `OperationalError`: API routes
answer 503 with `Retry-After`, and workers wait.

Source of the codes: PostgreSQL's appendix A, "PostgreSQL Error Codes".
"""

from enum import StrEnum

import psycopg


class Effect(StrEnum):
    """What follows from an error."""

    #: An outage. This connection leads to a server that is gone or no longer the primary: it is replaced.
    RECONNECT = "reconnect"
    #: An outage, or a conflict with another transaction. The connection is good; the transaction is repeated later.
    WAIT = "wait"
    #: The statement or its values are at fault: 500, and a message becomes a dead letter after its attempts.
    FAIL = "fail"


#: By code, else by class (the first two characters). Everything else fails, as a constraint violation does.
EFFECTS = {
    "08": Effect.RECONNECT,  # connection exception; poolers report their own failures as 08P01
    "25006": Effect.RECONNECT,  # read-only: a demoted primary, a standby, or a server that an operator locked
    "25P03": Effect.RECONNECT,  # idle_in_transaction_session_timeout: the server has closed the session
    "25P04": Effect.RECONNECT,  # transaction_timeout: the same
    "26000": Effect.RECONNECT,  # a prepared statement is gone: a pooler has switched the server below the connection
    "40": Effect.WAIT,  # serialization failure, deadlock, conflict with recovery
    "42P05": Effect.RECONNECT,  # a prepared statement is another client's: see 26000
    "53": Effect.WAIT,  # no memory, no disk space, too many connections
    "55006": Effect.WAIT,  # object in use
    "55P03": Effect.WAIT,  # lock_timeout, NOWAIT
    "57": Effect.WAIT,  # operator intervention; 57014 is statement_timeout
    "57P": Effect.RECONNECT,  # shutdown, crash, not yet started, database dropped, idle_session_timeout
    "58": Effect.WAIT,  # I/O error, a file is missing
}


def effect_of(sqlstate: str) -> Effect:
    """The effect of a SQLSTATE. XX (corruption, a bug of the server) fails: a repetition has the same result."""
    keys = (sqlstate, sqlstate[:3], sqlstate[:2])
    return next((EFFECTS[key] for key in keys if key in EFFECTS), Effect.FAIL)


class ServerUnavailable(psycopg.OperationalError):
    """The server cannot do this now."""


class StatementFailed(psycopg.DatabaseError):
    """The statement is at fault, although psycopg classifies its error as operational."""


def classified(error: psycopg.Error) -> psycopg.Error:
    """The error itself if its class agrees with the table, else an error with the same text and SQLSTATE that does.

    An error without a SQLSTATE comes from the client side of the connection, and is returned as it is.
    """
    if error.sqlstate is None:
        return error
    is_outage = effect_of(error.sqlstate) is not Effect.FAIL
    if is_outage == isinstance(error, psycopg.OperationalError):
        return error
    substitute = (ServerUnavailable if is_outage else StatementFailed)(str(error))
    substitute.sqlstate = error.sqlstate
    return substitute
