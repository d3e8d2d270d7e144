"""How a command ends: well, or with one sentence and a status that scripts can tell apart."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from ticketing.infra.config import ConfigurationError, Settings
from ticketing.infra.embedded_postgres import running_url
from ticketing.infra.ports import CannotListen
from ticketing.infra.processes import EmbeddedError

WRONG_USE = 2


def owners_url(settings: Settings) -> str:
    """The database as its owner or a worker sees it: every tenant. Raises ConfigurationError when there is none."""
    url = settings.migration_database_url or settings.worker_database_url or settings.database_url
    return url or running_url(settings.data_dir / "postgres", "ticketing")


@contextmanager
def errors_in_one_sentence() -> Iterator[None]:
    """Whatever is expected to go wrong ends the command with its sentence: 2 for wrong use, 1 for the rest."""
    from ticketing.up import StartFailed

    try:
        yield
    except (ConfigurationError, CannotListen) as error:
        fail(str(error), WRONG_USE)
    except (EmbeddedError, StartFailed) as error:
        fail(str(error), 1)


def fail(sentence: str, status: int) -> NoReturn:
    """End with this sentence and status."""
    typer.echo(f"ticketing: {sentence}", err=True)
    raise typer.Exit(status)
