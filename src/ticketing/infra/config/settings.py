"""One `Settings`, read from the environment and `.env`; a wrong value stops the start with a sentence that names it."""

import base64
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ticketing.infra import crash_points
from ticketing.infra.config import production
from ticketing.infra.config.cors_origins import parse_origins
from ticketing.infra.config.trusted_proxies import parse_networks
from ticketing.infra.email_addresses import is_mailbox, is_smtp_url

#: No access token lives longer, whatever ACCESS_TOKEN_SECONDS says.
ACCESS_TOKEN_SECONDS_MAX = 3600


class ConfigurationError(Exception):
    """The environment does not describe a system that can start; the text names the variable and what is right."""


class Settings(BaseSettings):
    """Every knob of the platform. The environment variable is the field's name in upper case."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True, frozen=True)

    environment: Literal["development", "production"] = "development"
    port: int = Field(8000, ge=1, le=65535)
    data_dir: Path = Path(".data")
    public_url: str = ""
    #: Addresses and CIDR blocks whose X-Forwarded-For is believed; nobody's by default.
    trusted_proxies: str = ""
    #: Origins, separated by commas, whose pages may read our answers.
    cors_origins: str = ""
    rate_limits: Literal["on", "off"] = "on"
    log_format: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    database_url: str = ""
    worker_database_url: str = ""
    migration_database_url: str = ""
    database_pool_size: int = Field(10, ge=1, le=200)
    database_pool_timeout_seconds: float = Field(5, gt=0, le=60)
    redis_url: str = ""
    kafka_bootstrap_servers: str = ""
    kafka_partitions: int = Field(6, ge=1, le=1000)
    kafka_replication_factor: int = Field(1, ge=1, le=9)

    jwt_secret: SecretStr = SecretStr("")
    access_token_seconds: int = Field(900, ge=60, le=ACCESS_TOKEN_SECONDS_MAX)
    refresh_token_seconds: int = Field(30 * 86_400, ge=3600, le=365 * 86_400)
    #: From the log-in on, however often it is refreshed.
    session_seconds_max: int = Field(90 * 86_400, ge=3600, le=365 * 86_400)
    argon2_memory_kib: int = Field(65_536, ge=64, le=1_048_576)
    ticket_signing_key: SecretStr = SecretStr("")
    mock_webhook_secret: SecretStr = SecretStr("")
    #: Where the mock provider, which also runs in workers, finds the API when it is not on this machine.
    mock_webhook_url: str = ""
    #: In production, a mock provider wants to be asked for twice: it takes no money.
    allow_mock_payments: bool = False

    #: Unset in development: letters are printed where the consumers run.
    smtp_url: SecretStr = SecretStr("")
    #: Who the letters are from: `name@example.com` or `Some Name <name@example.com>`.
    mail_from: str = ""

    outbox_retention_days: int = Field(7, ge=1, le=365)
    #: Whether webhooks may go to addresses of this machine and its network, for trying them out.
    webhook_private_addresses: Literal["refuse", "allow"] = "refuse"
    #: So long after its end a delivery can be looked up and asked for again.
    webhook_delivery_days: int = Field(30, ge=7, le=365)
    consumer_max_attempts: int = Field(8, ge=1, le=100)
    #: What providers wrote in webhooks may name a payer; their type and amount stay.
    webhook_body_days: int = Field(30, ge=1, le=3650)
    idempotency_retention_hours: int = Field(24, ge=24, le=24 * 30)
    expiry_sweep_seconds: float = Field(1, ge=0.1, le=60)
    reservation_extensions_max: int = Field(1, ge=0, le=10)
    stream_seconds_max: int = Field(600, ge=10, le=86_400)
    stream_frames_per_second: int = Field(4, ge=1, le=50)
    metrics_port: int | None = Field(None, ge=1, le=65535)
    #: For tests alone: where this process ends; see crash_points.py.
    crash_at: str = ""

    @field_validator("database_url", "worker_database_url", "migration_database_url")
    @classmethod
    def _driver(cls, url: str) -> str:
        """One driver, psycopg 3, whatever way the address is spelt."""
        if not url:
            return url
        scheme, separator, rest = url.partition("://")
        if not separator or scheme not in {"postgres", "postgresql", "postgresql+psycopg"}:
            raise ValueError("must look like postgresql://user:password@host:5432/database")
        return f"postgresql+psycopg://{rest}"

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, url: str) -> str:
        if url and not url.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must look like redis://host:6379/0, rediss://… or unix:///path/to.sock")
        return url

    @field_validator("smtp_url")
    @classmethod
    def _smtp(cls, url: SecretStr) -> SecretStr:
        if url.get_secret_value() and not is_smtp_url(url.get_secret_value()):
            raise ValueError("must look like smtp://user:password@host:587 or smtps://user:password@host:465")
        return url

    @field_validator("mail_from")
    @classmethod
    def _mailbox(cls, sender: str) -> str:
        if sender and not is_mailbox(sender):
            raise ValueError("must be an address, such as tickets@example.com or Some Name <tickets@example.com>")
        return sender

    @field_validator("crash_at")
    @classmethod
    def _crash_point(cls, where: str) -> str:
        if where:
            crash_points.read(where)
        return where

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies(cls, networks: str) -> str:
        try:
            parse_networks(networks)
        except ValueError:
            example = "10.0.0.5,10.1.0.0/16"
            raise ValueError(f"must be addresses or CIDR blocks, such as {example}, and not everybody") from None
        return networks

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, origins: str) -> str:
        try:
            parse_origins(origins)
        except ValueError:
            raise ValueError("must be origins, such as https://shop.example.com, separated by commas") from None
        return origins

    @field_validator("public_url", "mock_webhook_url")
    @classmethod
    def _public(cls, url: str) -> str:
        if url and not url.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return url.rstrip("/")

    @field_validator("jwt_secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr) -> SecretStr:
        # RFC 7518 §3.2: an HS256 key has at least as many bits as the hash.
        keys = parse_secrets(secret.get_secret_value())
        if secret.get_secret_value() and (not keys or any(len(key.encode()) < 32 for key in keys)):
            raise ValueError("must have at least 32 bytes (several keys, newest first, separated by commas)")
        return secret

    @field_validator("ticket_signing_key")
    @classmethod
    def _seed(cls, key: SecretStr) -> SecretStr:
        for part in key.get_secret_value().split(","):
            if part and len(base64.b64decode(part, validate=True)) != 32:
                raise ValueError("must be 32 bytes in base64 (several, newest first, separated by commas)")
        return key

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.environment == "production":
            secrets = ("jwt_secret", "ticket_signing_key")
            for name in ("database_url", "redis_url", *secrets, "public_url", "smtp_url", "mail_from"):
                value = getattr(self, name)
                if not (value.get_secret_value() if isinstance(value, SecretStr) else value):
                    raise ValueError(f"{name.upper()} must be set when ENVIRONMENT is production")
            # OWASP's password storage cheat sheet names 19 MiB as the least for argon2id.
            if self.argon2_memory_kib < 19 * 1024:
                raise ValueError("ARGON2_MEMORY_KIB must be at least 19456 when ENVIRONMENT is production")
            production.refuse(self)
        return self

    @property
    def jwt_secrets(self) -> tuple[str, ...]:
        """The keys of JWT_SECRET, newest first."""
        return parse_secrets(self.jwt_secret.get_secret_value())

    @property
    def base_url(self) -> str:
        """Where people reach us: PUBLIC_URL, or this machine."""
        return self.public_url or f"http://127.0.0.1:{self.port}"

    @property
    def sender(self) -> str:
        """Who letters are from: MAIL_FROM, or an address on this machine that nobody can answer."""
        return self.mail_from or "Ticketing <tickets@localhost>"

    @property
    def allowed_origins(self) -> list[str]:
        """CORS_ORIGINS, one by one."""
        return parse_origins(self.cors_origins)

    @property
    def is_distributed(self) -> bool:
        """True when messages travel over Kafka, False when consumers read the outbox log themselves."""
        return bool(self.kafka_bootstrap_servers)


def load_settings() -> Settings:
    """Read the environment.

    Raises:
        ConfigurationError: one sentence per wrong variable.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigurationError("; ".join(_sentence(e["loc"], e["msg"]) for e in error.errors())) from None


def parse_secrets(listed: str) -> tuple[str, ...]:
    """The keys of a variable that has several, separated by commas."""
    parts = (part.strip() for part in listed.split(","))
    return tuple(part for part in parts if part)


def _sentence(where: tuple[int | str, ...], message: str) -> str:
    text = message.removeprefix("Value error, ")
    return f"{where[0]!s}".upper() + f": {text[0].lower()}{text[1:]}" if where else text


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process's settings, read once."""
    return load_settings()
