"""Settings, read from the environment."""

from ticketing.infra.config.loading import ConfigurationError, get_settings, load_settings
from ticketing.infra.config.settings import ACCESS_TOKEN_SECONDS_MAX, Settings, parse_secrets

__all__ = [
    "ACCESS_TOKEN_SECONDS_MAX",
    "ConfigurationError",
    "Settings",
    "get_settings",
    "load_settings",
    "parse_secrets",
]
