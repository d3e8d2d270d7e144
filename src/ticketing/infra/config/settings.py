"""`Settings`, read from the environment and `.env`. A wrong value stops the start with a sentence that names it."""

import base64
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ticketing.infra import crash_points
from ticketing.infra.config.cors_origins import parse_origins
from ticketing.infra.config.database_url import parse_database_url
from ticketing.infra.config.trusted_proxies import parse_networks
from ticketing.infra.email_addresses import is_mailbox, is_smtp_url

#: Upper limit of ACCESS_TOKEN_SECONDS.
ACCESS_TOKEN_SECONDS_MAX = 3600


class Settings(BaseSettings):
    """All settings of the platform. The environment variable is the field's name in upper case."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True, frozen=True)

    #: `production` starts only when everything it needs is set and safe, and generates no secret.
    environment: Literal["development", "production"] = "development"
    #: TCP port of the API.
    port: int = Field(8000, ge=1, le=65535)
    #: Directory of the embedded servers, the logs of `ticketing up`, and generated secrets.
    data_dir: Path = Path(".data")
    #: How long an idle connection of a client is kept. Behind a load balancer it must be longer than the load
    #: balancer's own limit (60 s in nginx and AWS ALB), else a request meets a connection that is just being closed.
    keep_alive_seconds: int = Field(75, ge=1, le=3600)
    #: How long an API process still accepts requests after SIGTERM, while `/health/ready` is 503, so that a load
    #: balancer stops sending to it. 0: it stops at once, as `ticketing up` always does.
    shutdown_drain_seconds: float = Field(0, ge=0, le=300)
    #: Base URL that people use, for links in emails and on tickets. Unset: `http://127.0.0.1:<PORT>`. Production
    #: requires `https://`.
    public_url: str = ""
    #: Addresses and CIDR blocks, separated by commas, of load balancers whose `X-Forwarded-For` is trusted. Unset:
    #: none.
    trusted_proxies: str = ""
    #: Origins, separated by commas, whose pages may read the API. Unset: none.
    cors_origins: str = ""
    #: `off` is for load tests; refused in production.
    rate_limits: Literal["on", "off"] = "on"
    #: `console` is for reading in a terminal.
    log_format: Literal["json", "console"] = "json"
    #: Least severe level that is logged; `debug` is refused in production, because libraries log personal data at it.
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    #: PostgreSQL, as the role for requests: it owns no table and sees one tenant at a time. Unset: `ticketing up`
    #: starts a server in `DATA_DIR`.
    database_url: str = ""
    #: PostgreSQL, as the role for workers, which sees all tenants. Unset: `DATABASE_URL`.
    worker_database_url: str = ""
    #: PostgreSQL, as the owner of the tables, for `ticketing migrate`. Unset: `DATABASE_URL`.
    migration_database_url: str = ""
    #: Connections per process. An API process opens two more, for reading seat maps.
    database_pool_size: int = Field(10, ge=1, le=200)
    #: Longest wait for a free connection; after it the response is 503.
    database_pool_timeout_seconds: float = Field(5, gt=0, le=60)
    #: A query is prepared on its connection after this many executions, and one of the hot paths at the first. 0:
    #: nothing is prepared, for a connection pooler in transaction mode that does not support it.
    database_prepare_threshold: int = Field(5, ge=0, le=1000)
    #: Requests of one event (or organization, or provider) that an API process works on at one time while others of the
    #: same lane are active. More wait at the gate; see `lanes.py`.
    gate_key_running_max: int = Field(16, ge=1, le=10_000)
    #: Requests of one lane that an API process works on at one time.
    gate_lane_running_max: int = Field(64, ge=1, le=10_000)
    #: Requests of one key that wait at the gate; further ones get 503. A lane has four times as many.
    gate_key_waiting_max: int = Field(2000, ge=1, le=100_000)
    #: Longest wait at the gate; after it the response is 503.
    gate_wait_seconds: float = Field(5, gt=0, le=60)
    #: Redis or Valkey: rate limits, commit notifications and live frames. Its data may be lost at any time. Unset:
    #: `ticketing up` starts Valkey.
    redis_url: str = ""
    #: Brokers, `host:port` separated by commas. Unset: consumers read the outbox log directly.
    kafka_bootstrap_servers: str = ""
    #: Partitions of each topic that is created at the start.
    kafka_partitions: int = Field(6, ge=1, le=1000)
    #: Replicas of each topic that is created at the start.
    kafka_replication_factor: int = Field(1, ge=1, le=9)

    #: Key of the access tokens (HS256), at least 32 bytes; several, newest first, separated by commas, during a
    #: rotation. Unset: generated by the first `ticketing up`, outside production.
    jwt_secret: SecretStr = SecretStr("")
    #: Lifetime of an access token.
    access_token_seconds: int = Field(900, ge=60, le=ACCESS_TOKEN_SECONDS_MAX)
    #: Lifetime of a refresh token, renewed by each refresh.
    refresh_token_seconds: int = Field(30 * 86_400, ge=3600, le=365 * 86_400)
    #: Lifetime of a session from the log-in on, regardless of refreshes.
    session_seconds_max: int = Field(90 * 86_400, ge=3600, le=365 * 86_400)
    #: Memory of one password hash (argon2id); production requires at least 19456.
    argon2_memory_kib: int = Field(65_536, ge=64, le=1_048_576)
    #: Ed25519 key of the ticket codes, 32 bytes in base64; several, newest first, separated by commas, during a
    #: rotation. Unset: generated by the first `ticketing up`, outside production.
    ticket_signing_key: SecretStr = SecretStr("")
    #: Shared secret of the mock payment provider; setting it turns the provider on. Unset: generated by the first
    #: `ticketing up`, outside production; else the provider is off.
    mock_webhook_secret: SecretStr = SecretStr("")
    #: Base URL of the API for the mock payment provider in a worker. Unset: `http://127.0.0.1:<PORT>`.
    mock_webhook_url: str = ""
    #: Production refuses `MOCK_WEBHOOK_SECRET` without it: the mock provider takes no money.
    allow_mock_payments: bool = False

    #: Mail server: `smtp://…@host:587` (STARTTLS) or `smtps://…@host:465`, with `user:password` before the `@`. Unset:
    #: emails are printed by the consumers, outside production.
    smtp_url: SecretStr = SecretStr("")
    #: Sender of emails: `tickets@example.com` or `Some Name <tickets@example.com>`. Unset: `Ticketing
    #: <tickets@localhost>`.
    mail_from: str = ""

    #: How long the outbox log is kept for readers and replays.
    outbox_retention_days: int = Field(7, ge=1, le=365)
    #: `allow` lets webhooks go to this machine and its network, for trying them out; refused in production.
    webhook_private_addresses: Literal["refuse", "allow"] = "refuse"
    #: How long a finished webhook delivery can be inspected and redelivered.
    webhook_delivery_days: int = Field(30, ge=7, le=365)
    #: Attempts before a message becomes a dead letter; outages do not count.
    consumer_max_attempts: int = Field(8, ge=1, le=100)
    #: How long the body of a payment provider's webhook is kept; it may name a payer. Its type and amount stay.
    webhook_body_days: int = Field(30, ge=1, le=3650)
    #: How long the type and amount of a processed webhook are kept. One that needs an operator is kept until then.
    webhook_event_days: int = Field(730, ge=90, le=3650)
    #: How long a reservation without an order is kept after it expired or was cancelled.
    reservation_retention_days: int = Field(30, ge=1, le=3650)
    #: How long entries of the audit log are kept. The database refuses to delete one that is younger than 365 days.
    audit_retention_days: int = Field(1095, ge=365, le=36_500)
    #: How long refused scans are kept. Admissions stay with their ticket.
    check_in_retention_days: int = Field(365, ge=30, le=3650)
    #: How long the response to an `Idempotency-Key` is kept for retries.
    idempotency_retention_hours: int = Field(24, ge=24, le=24 * 30)
    #: Interval between sweeps of lapsed holds. A lapsed hold is free before the sweep; the sweep updates the seat map.
    expiry_sweep_seconds: float = Field(1, ge=0.1, le=60)
    #: How often a hold may be extended.
    reservation_extensions_max: int = Field(1, ge=0, le=10)
    #: Most places of one event that one account holds at one time, unless the event has `max_held_per_buyer`. An order
    #: of `max_per_order` places is always possible. 0: no limit.
    held_places_max: int = Field(40, ge=0, le=100_000)
    #: How long the seats of a hold that was not bought rest before the same account may hold them again. 0: not at all.
    seat_rest_seconds: int = Field(5, ge=0, le=300)
    #: Longest life of a viewer's event stream; the browser then reconnects.
    stream_seconds_max: int = Field(600, ge=10, le=86_400)
    #: Most event streams of one client address (IPv6: one /64) in each API process, which has at most 10,000 in all.
    streams_per_address_max: int = Field(1000, ge=1, le=10_000)
    #: Most frames per event that a viewer is sent.
    stream_frames_per_second: int = Field(4, ge=1, le=50)
    #: Bearer token for `/metrics` and for the subjects in `/health/alerts`. Unset: in development they are open, in
    #: production closed.
    operations_token: SecretStr = SecretStr("")

    #: Organizations of which one person is an admin. Above a quota, a request is refused with `limit_exceeded`.
    organizations_per_person_max: int = Field(20, ge=1, le=10_000)
    #: Members of an organization, open invitations included.
    members_per_organization_max: int = Field(500, ge=1, le=100_000)
    #: API keys of an organization that are neither revoked nor expired.
    api_keys_per_organization_max: int = Field(100, ge=1, le=10_000)
    #: Venues of an organization.
    venues_per_organization_max: int = Field(200, ge=1, le=100_000)
    #: Seats in all venues of an organization; about 300 bytes each.
    plan_seats_per_organization_max: int = Field(2_000_000, ge=1, le=10**9)
    #: Events of an organization in any status: they are kept after they have ended.
    events_per_organization_max: int = Field(10_000, ge=1, le=10**6)
    #: Drafts of events of an organization.
    drafts_per_organization_max: int = Field(500, ge=1, le=10**6)
    #: Seats in all events of an organization, past ones included; about 300 bytes each.
    event_seats_per_organization_max: int = Field(10_000_000, ge=1, le=10**9)
    #: Ticket types of an event.
    ticket_types_per_event_max: int = Field(100, ge=1, le=1000)
    #: Devices of an event that are not revoked.
    devices_per_event_max: int = Field(500, ge=1, le=10_000)
    #: Webhooks of an organization; the next one is refused with `too_many_webhooks`.
    webhooks_per_organization_max: int = Field(20, ge=1, le=1000)

    #: Port of `/metrics` in a worker that runs on its own. Unset: not served.
    metrics_port: int | None = Field(None, ge=1, le=65535)
    #: For tests: the crash point at which the process ends, such as `after_produce_before_cursor:3`; refused in
    #: production.
    crash_at: str = ""

    @field_validator("database_url", "worker_database_url", "migration_database_url")
    @classmethod
    def _driver(cls, url: str) -> str:
        return parse_database_url(url) if url else url

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
            crash_points.parse(where)
        return where

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies(cls, networks: str) -> str:
        try:
            parse_networks(networks)
        except ValueError:
            example = "10.0.0.5,10.1.0.0/16"
            raise ValueError(f"must be addresses or CIDR blocks, such as {example}, and not every address") from None
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
            # OWASP's password storage cheat sheet: at least 19 MiB for argon2id.
            if self.argon2_memory_kib < 19 * 1024:
                raise ValueError("ARGON2_MEMORY_KIB must be at least 19456 when ENVIRONMENT is production")
        return self

    @property
    def jwt_secrets(self) -> tuple[str, ...]:
        """The keys of JWT_SECRET, newest first."""
        return parse_secrets(self.jwt_secret.get_secret_value())

    @property
    def base_url(self) -> str:
        """The base URL of links: PUBLIC_URL, or this machine."""
        return self.public_url or f"http://127.0.0.1:{self.port}"

    @property
    def sender(self) -> str:
        """The sender of emails: MAIL_FROM, or an address on this machine that accepts no replies."""
        return self.mail_from or "Ticketing <tickets@localhost>"

    @property
    def allowed_origins(self) -> list[str]:
        """CORS_ORIGINS as a list."""
        return parse_origins(self.cors_origins)

    @property
    def is_distributed(self) -> bool:
        """True when consumers read from Kafka, False when they read the outbox log."""
        return bool(self.kafka_bootstrap_servers)


def parse_secrets(text: str) -> tuple[str, ...]:
    """The secrets of a variable that holds several, separated by commas."""
    parts = (part.strip() for part in text.split(","))
    return tuple(part for part in parts if part)
