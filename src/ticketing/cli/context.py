"""How a command begins and ends: with the platform's settings, and well, or with one sentence and a status."""

import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer

from ticketing.infra.config import ConfigurationError, Settings, get_settings
from ticketing.infra.embedded.postgres import running_url
from ticketing.infra.system.ports import CannotListen
from ticketing.infra.system.processes import EmbeddedError

if TYPE_CHECKING:
    from ticketing.infra.db import Database

T = TypeVar("T")
WRONG_USE = 2

#: What can't be taken back is told before it is done.
Yes = Annotated[bool, typer.Option("--yes", help="Do it. Without this, only what would be done is told.")]


def platforms_settings() -> Settings:
    """Ours, with what `ticketing up` made for its platform in DATA_DIR where nobody has set any of it."""
    from ticketing.infra.config.local_secrets import missing_secrets
    from ticketing.infra.embedded import valkey

    settings = get_settings()
    kept = settings.data_dir / "secrets.env"
    if kept.exists():
        os.environ.update(missing_secrets(settings, kept))
        if not settings.redis_url and (redis_url := valkey.running_url(settings.data_dir / "valkey")):
            os.environ["REDIS_URL"] = redis_url
        get_settings.cache_clear()
    return get_settings()


def owners_url(settings: Settings) -> str:
    """The database as its owner or a worker sees it: every tenant. Raises ConfigurationError when there is none."""
    url = settings.migration_database_url or settings.worker_database_url or settings.database_url
    return url or running_url(settings.data_dir / "postgres", "ticketing")


async def with_database(settings: Settings, use: "Callable[[Database], Awaitable[T]]") -> T:
    """Use the database as a worker sees it. Raises ConfigurationError for a role that sees no tenant."""
    from ticketing.infra.db import Database
    from ticketing.infra.db.roles import check_workers
    from ticketing.infra.db.timeouts import LONG_STATEMENT_SECONDS

    url = owners_url(settings)
    check_workers(url)
    database = Database(settings, url=url, statement_seconds=LONG_STATEMENT_SECONDS)
    try:
        return await use(database)
    finally:
        await database.close()


def log_to_stderr(settings: Settings) -> None:
    """What a command does is logged as in any process; standard output is for what it answers."""
    from ticketing.infra import log

    log.configure(settings.log_format, settings.log_level, "operator", sys.stderr)


@contextmanager
def errors_in_one_sentence() -> Iterator[None]:
    """Whatever is expected to go wrong ends the command with its sentence: 2 for wrong use, 1 for the rest."""
    from sqlalchemy.exc import InterfaceError, OperationalError

    from ticketing.up.platform import StartFailed

    try:
        yield
    except (OperationalError, InterfaceError):
        fail("the database does not answer", 1)
    except (ConfigurationError, CannotListen) as error:
        fail(str(error), WRONG_USE)
    except (EmbeddedError, StartFailed) as error:
        fail(str(error), 1)


def fail(sentence: str, status: int) -> NoReturn:
    """End with this sentence and status."""
    typer.echo(f"ticketing: {sentence}", err=True)
    raise typer.Exit(status)
