"""Parses the value of `--since`: an RFC 3339 time, or an age such as 2h."""

import re
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, literal

from ticketing.infra.config import ConfigurationError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_AGE = re.compile(r"(\d{1,6})([smhd])")


def parse_since(value: str) -> ColumnElement[Any]:
    """The time as an SQL expression. An age counts back from the database's clock, which all processes share.

    Raises:
        ConfigurationError: the value is neither a time with an offset nor an age.
    """
    if age := _AGE.fullmatch(value):
        return func.now() - timedelta(**{_UNITS[age[2]]: int(age[1])})
    try:
        since = datetime.fromisoformat(value)
    except ValueError:
        since = None
    if since is None or since.tzinfo is None:
        raise ConfigurationError("--since: must be a time such as 2026-11-21T18:00:00Z, or an age such as 2h")
    return literal(since)
