"""Errors of the driver as SQLAlchemy raises them."""

import psycopg
from sqlalchemy import Dialect
from sqlalchemy.exc import DBAPIError


def sqlalchemy_error(dialect: Dialect, error: psycopg.Error) -> BaseException:
    """The error that a session would raise in place of psycopg's."""
    return DBAPIError.instance(None, None, error, psycopg.Error, hide_parameters=True, dialect=dialect)
