"""Which errors are outages: they say nothing about the message that met them, and it waits for their end."""

import psycopg
import pytest
from psycopg import errors
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy.dialects.postgresql import psycopg as dialect
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ticketing.infra.bus.failures import Failure, classify
from ticketing.infra.db import sqlalchemy_error
from ticketing.infra.system.retry import Retry

TOO_MANY = psycopg.OperationalError("sending query failed: number of parameters must be between 0 and 65535")


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (psycopg.OperationalError("server closed the connection unexpectedly"), Failure.OUTAGE),
        (psycopg.InterfaceError("the connection is closed"), Failure.OUTAGE),
        (errors.ConnectionFailure(), Failure.OUTAGE),
        (errors.ReadOnlySqlTransaction(), Failure.OUTAGE),
        (errors.DiskFull(), Failure.OUTAGE),
        (errors.TooManyConnections(), Failure.OUTAGE),
        (errors.AdminShutdown(), Failure.OUTAGE),
        (errors.CannotConnectNow(), Failure.OUTAGE),
        (errors.IoError(), Failure.OUTAGE),
        (errors.QueryCanceled(), Failure.UNCLEAR),
        (errors.LockNotAvailable(), Failure.UNCLEAR),
        (errors.DeadlockDetected(), Failure.UNCLEAR),
        (errors.SerializationFailure(), Failure.UNCLEAR),
        (errors.OutOfMemory(), Failure.UNCLEAR),
        (errors.TransactionTimeout(), Failure.UNCLEAR),
        (errors.ProgramLimitExceeded("index row size 4000 exceeds maximum"), Failure.OWN),
        (errors.StatementTooComplex("stack depth limit exceeded"), Failure.OWN),
        (errors.UniqueViolation(), Failure.OWN),
        (errors.NumericValueOutOfRange(), Failure.OWN),
        (errors.UndefinedColumn(), Failure.OWN),
        (TOO_MANY, Failure.OWN),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_of_the_database_is_classified_by_its_sqlstate(error: psycopg.Error, failure: Failure) -> None:
    assert classify(sqlalchemy_error(dialect.dialect(), error)) is failure


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (Retry(), Failure.OUTAGE),
        (PoolTimeout(), Failure.OUTAGE),
        (RedisConnectionError(), Failure.OUTAGE),
        (ConnectionRefusedError(), Failure.OUTAGE),
        (OSError(113, "No route to host"), Failure.OUTAGE),
        (TimeoutError(), Failure.UNCLEAR),
        (ValueError(), Failure.OWN),
        (RecursionError(), Failure.OWN),
        (MemoryError(), Failure.OWN),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_errors_are_classified_by_their_type(error: Exception, failure: Failure) -> None:
    assert classify(error) is failure
