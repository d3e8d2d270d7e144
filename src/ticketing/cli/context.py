"""The settings of a command, the database URL it uses, and how it ends: with success, or one sentence and a status."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import psycopg
import typer

from ticketing.infra.config import ConfigurationError, Settings, get_settings
from ticketing.infra.config.local_secrets import missing_secrets
from ticketing.infra.embedded import valkey
from ticketing.infra.embedded.postgres import running_url
from ticketing.infra.system.ports import CannotListen
from ticketing.infra.system.processes import EmbeddedError
from ticketing.up.supervisor import StartFailed

WRONG_USE = 2


def platform_settings() -> Settings:
    """The settings, completed with what `ticketing up` keeps in DATA_DIR: generated secrets and the Valkey address."""
    settings = get_settings()
    secrets_file = settings.data_dir / "secrets.env"
    if secrets_file.exists():
        os.environ.update(missing_secrets(settings, secrets_file))
        if not settings.redis_url and (redis_url := valkey.running_url(settings.data_dir / "valkey")):
            os.environ["REDIS_URL"] = redis_url
        get_settings.cache_clear()
    return get_settings()


def operator_database_url(settings: Settings) -> str:
    """A database URL whose role sees every tenant: that of migrations, else of workers, else of `ticketing up`.

    Raises:
        ConfigurationError: no URL is set and no embedded database is running.
    """
    url = settings.migration_database_url or settings.worker_database_url or settings.database_url
    return url or running_url(settings.data_dir / "postgres", "ticketing")


@contextmanager
def errors_in_one_sentence() -> Iterator[None]:
    """End the command with one sentence for each expected error: status 2 for wrong use, 1 for any other.

    SQLAlchemy's errors are recognized by the driver's error that they wrap, so that SQLAlchemy need not be imported.
    """
    try:
        yield
    except (ConfigurationError, CannotListen) as error:
        fail(str(error), WRONG_USE)
    except (EmbeddedError, StartFailed) as error:
        fail(str(error), 1)
    except Exception as error:
        if isinstance(getattr(error, "orig", None), psycopg.OperationalError | psycopg.InterfaceError):
            fail(f"the database does not answer ({' '.join(str(error.orig).split())})", 1)  # type: ignore[attr-defined]
        raise


def fail(sentence: str, status: int) -> NoReturn:
    """Print the sentence to standard error and exit with the status."""
    typer.echo(f"ticketing: {sentence}", err=True)
    raise typer.Exit(status)
