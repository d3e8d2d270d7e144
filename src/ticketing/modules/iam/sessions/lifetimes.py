"""How long a log-in lives: as long as it is used, and never beyond an end that no refresh moves (ASVS 5.0 7.3.2).

Postgres' clock decides: each bound is an SQL expression, made from the time at which the log-in began.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, SQLColumnExpression, func

from ticketing.infra.config import get_settings


def absolute_end(began: SQLColumnExpression[datetime]) -> ColumnElement[datetime]:
    """When a log-in that began then is over, however it was used."""
    return began + timedelta(seconds=get_settings().session_seconds_max)


def last_refresh(began: SQLColumnExpression[datetime]) -> ColumnElement[datetime]:
    """Until when it can be refreshed: the life of an access token before its end, so that none outlives the log-in."""
    return absolute_end(began) - timedelta(seconds=get_settings().access_token_seconds)


def unused_end() -> ColumnElement[datetime]:
    """When a log-in is over that is used now, and not again."""
    return func.now() + timedelta(seconds=get_settings().refresh_token_seconds)
