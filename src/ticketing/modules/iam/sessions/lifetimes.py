"""Session lifetimes: an inactivity timeout, and an absolute maximum that no refresh extends (ASVS 5.0 7.3.2).

The clock of Postgres decides: each bound is an SQL expression of the time at which the session began.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, SQLColumnExpression, func

from ticketing.infra.config import get_settings


def absolute_end(began: SQLColumnExpression[datetime]) -> ColumnElement[datetime]:
    """When a session that began then ends, even if it is used."""
    return began + timedelta(seconds=get_settings().session_seconds_max)


def last_refresh(began: SQLColumnExpression[datetime]) -> ColumnElement[datetime]:
    """The last refresh: an access token's lifetime before the end, so that no access token outlives the session."""
    return absolute_end(began) - timedelta(seconds=get_settings().access_token_seconds)


def unused_end() -> ColumnElement[datetime]:
    """When a session that is used now ends without further use."""
    return func.now() + timedelta(seconds=get_settings().refresh_token_seconds)
