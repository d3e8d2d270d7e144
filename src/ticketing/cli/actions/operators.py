"""What operator commands share: a database role that sees every tenant, and logging to standard error."""

import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ticketing.cli.context import operator_database_url
from ticketing.infra import log
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.db.roles import check_workers
from ticketing.infra.db.timeouts import LONG_STATEMENT_SECONDS

T = TypeVar("T")


async def with_database(settings: Settings, use: Callable[[Database], Awaitable[T]]) -> T:
    """Call `use` with the database, and close it afterwards.

    Raises:
        ConfigurationError: no database is configured, or row-level security hides tenants from its role.
    """
    url = operator_database_url(settings)
    check_workers(url)
    database = Database(settings, url=url, statement_seconds=LONG_STATEMENT_SECONDS)
    try:
        return await use(database)
    finally:
        await database.close()


def log_to_stderr(settings: Settings) -> None:
    """Log as any process does, but to standard error: standard output is for the command's results."""
    log.configure(settings.log_format, settings.log_level, "operator", sys.stderr)
