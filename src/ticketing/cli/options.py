"""Times on a command line: RFC 3339, or an age such as 2h."""

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ticketing.infra.config import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_AGE = re.compile(r"(\d{1,6})([smhd])")

SINCE_HELP = "From then on: 2026-11-21T18:00:00Z, or an age such as 30m, 2h or 3d."
Since = Annotated[str | None, typer.Option(help=SINCE_HELP)]


def read_since(words: str) -> "ColumnElement[Any]":
    """The moment, for a statement: an age counts from the database's clock, which is the only one.

    Raises:
        ConfigurationError: it is neither.
    """
    # Whoever opens the platform, which is one command of many, does not wait for it to be loaded.
    from sqlalchemy import func, literal

    if age := _AGE.fullmatch(words):
        return func.now() - timedelta(**{_UNITS[age[2]]: int(age[1])})
    try:
        moment = datetime.fromisoformat(words)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ConfigurationError("--since: must be a time such as 2026-11-21T18:00:00Z, or an age such as 2h")
    return literal(moment)
