"""Refuses to start in production with a well-known secret, plain HTTP, or a protection switched off."""

from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from ticketing.infra.config.settings import Settings

#: Words of examples, defaults and tutorials. A secret that contains one of them was copied or typed, not generated.
WELL_KNOWN = ("password", "secret", "changeme", "change-me", "change_me", "example", "for tests")
#: Whole passwords of servers, which may be too short to contain one of those words.
WELL_KNOWN_PASSWORDS = {"admin", "postgres", "redis", "root", "test", "ticketing", "valkey", "123456", "12345678"}
#: Fewest distinct characters of a secret. A random one of 32 bytes has over 20; one that was typed may repeat a key.
VARIETY_MIN = 10
WEBHOOK_SECRET_LENGTH_MIN = 24


def refuse(settings: Settings) -> None:
    """Raise ValueError for an unsafe setting, with a sentence that names the variable and a safe value."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr) and not name.endswith("_url"):
            _refuse_known(name.upper(), value.get_secret_value())
    for name in ("database_url", "worker_database_url", "migration_database_url", "redis_url", "smtp_url"):
        _refuse_known_password(name.upper(), getattr(settings, name))
    _refuse_mock_payments(settings)
    if not settings.public_url.startswith("https://"):
        raise ValueError("PUBLIC_URL must start with https:// when ENVIRONMENT is production")
    if settings.crash_at:
        raise ValueError("CRASH_AT must be empty when ENVIRONMENT is production")
    if settings.rate_limits == "off":
        raise ValueError("RATE_LIMITS must be on when ENVIRONMENT is production")
    if settings.webhook_private_addresses == "allow":
        raise ValueError("WEBHOOK_PRIVATE_ADDRESSES must be refuse when ENVIRONMENT is production")
    # At this level libraries log what they send and receive, which includes people's addresses and codes.
    if settings.log_level == "debug":
        raise ValueError("LOG_LEVEL must not be debug when ENVIRONMENT is production")


def _refuse_known(name: str, secret: str) -> None:
    for part in filter(None, (part.strip() for part in secret.split(","))):
        if any(word in part.lower() for word in WELL_KNOWN) or len(set(part)) < VARIETY_MIN:
            raise ValueError(f"{name} must be a random value of your own when ENVIRONMENT is production")


def _refuse_known_password(name: str, url: "str | SecretStr") -> None:
    password = urlsplit(url.get_secret_value() if isinstance(url, SecretStr) else url).password
    if password is None:  # a socket, or a server with another kind of authentication
        return
    typed = unquote(password).lower()
    if typed in WELL_KNOWN_PASSWORDS or any(word in typed for word in WELL_KNOWN):
        raise ValueError(f"{name} must not have a well-known password when ENVIRONMENT is production")


def _refuse_mock_payments(settings: Settings) -> None:
    secret = settings.mock_webhook_secret.get_secret_value()
    if not secret:
        return
    if not settings.allow_mock_payments:
        raise ValueError(
            "MOCK_WEBHOOK_SECRET allows payments without money: unset it, or set ALLOW_MOCK_PAYMENTS=true, "
            "when ENVIRONMENT is production"
        )
    if len(secret) < WEBHOOK_SECRET_LENGTH_MIN:
        raise ValueError(
            f"MOCK_WEBHOOK_SECRET must have at least {WEBHOOK_SECRET_LENGTH_MIN} characters "
            "when ENVIRONMENT is production"
        )
