"""Reads the settings from the environment, once per process, and refuses unsafe ones in production."""

from functools import lru_cache

from pydantic import ValidationError

from ticketing.infra.config import production
from ticketing.infra.config.settings import Settings


class ConfigurationError(Exception):
    """The settings are wrong or incomplete; the text names the variable and what it must be."""


def load_settings() -> Settings:
    """Read and validate the environment.

    Raises:
        ConfigurationError: one sentence per wrong variable.
    """
    try:
        settings = Settings()
        if settings.environment == "production":
            production.refuse(settings)
    except ValidationError as error:
        raise ConfigurationError("; ".join(_sentence(e["loc"], e["msg"]) for e in error.errors())) from None
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    return settings


def _sentence(where: tuple[int | str, ...], message: str) -> str:
    text = message.removeprefix("Value error, ")
    return f"{where[0]!s}".upper() + f": {text[0].lower()}{text[1:]}" if where else text


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return load_settings()
