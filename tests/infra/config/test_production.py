"""Production does not start with a well-known secret or a protection switched off; one sentence names the reason."""

import base64
import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.support.world import WEBHOOK_SECRET
from ticketing.infra.config import ConfigurationError, Settings, load_settings

ROOT = Path(__file__).parents[3]
RANDOM = "mfB0n2sQ1rVzYxLw7dKhUe5gTjPa8cRoXi3tNvE4"
GOOD = {
    "ENVIRONMENT": "production",
    "DATABASE_URL": "postgresql://ticketing_app:mfB0n2sQ1rVz@db.internal:5432/ticketing",
    "REDIS_URL": "redis://:YxLw7dKhUe5g@cache.internal:6379/0",
    "JWT_SECRET": RANDOM,
    "TICKET_SIGNING_KEY": base64.b64encode(bytes(range(32))).decode(),
    "PUBLIC_URL": "https://tickets.acme-tickets.com",
    "SMTP_URL": "smtp://mailer:TjPa8cRoXi3t@mail.internal:587",
    "MAIL_FROM": "Tickets <tickets@acme-tickets.com>",
    "ARGON2_MEMORY_KIB": "65536",
    "LOG_LEVEL": "info",
    "RATE_LIMITS": "on",
}


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the tests' environment and a developer's `.env`."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> object:
    """A function that reads the settings as a process does, with some variables changed; None unsets one."""

    def start(**changes: str | None) -> Settings:
        for name, value in {**GOOD, **changes}.items():
            monkeypatch.setenv(name, value or "")
        return load_settings()

    return start


def refusal_of(start: object, **changes: str | None) -> str:
    with pytest.raises(ConfigurationError) as refused:
        start(**changes)  # type: ignore[operator]
    sentence = str(refused.value)
    assert "\n" not in sentence
    for value in changes.values():
        assert not value or len(value) < 8 or value not in sentence, "the sentence repeats no secret"
    return sentence


def test_a_complete_configuration_starts(start: object) -> None:
    assert start().environment == "production"  # type: ignore[operator]


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL", "JWT_SECRET", "TICKET_SIGNING_KEY", "PUBLIC_URL"])
def test_a_missing_setting_is_named(start: object, name: str) -> None:
    assert refusal_of(start, **{name: None}).startswith(f"{name} must")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JWT_SECRET", "a secret for tests that is long enough"),
        ("JWT_SECRET", "changeme" * 5),
        ("JWT_SECRET", "x" * 64),
        ("JWT_SECRET", "0123" * 16),
        ("JWT_SECRET", f"{RANDOM},{'x' * 64}"),
        ("JWT_SECRET", "short"),
        ("TICKET_SIGNING_KEY", base64.b64encode(b"k" * 32).decode()),
        ("TICKET_SIGNING_KEY", base64.b64encode(bytes(32)).decode()),
        ("DATABASE_URL", "postgresql://ticketing_app:password@db.internal/ticketing"),
        ("DATABASE_URL", "postgresql://postgres:postgres@db.internal/ticketing"),
        ("MIGRATION_DATABASE_URL", "postgresql://postgres:postgres@db.internal/ticketing"),
        ("REDIS_URL", "redis://:password@cache.internal:6379/0"),
        ("PUBLIC_URL", "http://tickets.acme-tickets.com"),
        ("RATE_LIMITS", "off"),
        ("WEBHOOK_PRIVATE_ADDRESSES", "allow"),
        ("LOG_LEVEL", "debug"),
        ("MOCK_WEBHOOK_SECRET", RANDOM),
        ("ARGON2_MEMORY_KIB", "64"),
        ("CRASH_AT", "before_produce"),
    ],
)
def test_an_unsafe_setting_is_refused_by_name(start: object, name: str, value: str) -> None:
    assert name in refusal_of(start, **{name: value})


def test_mock_payments_need_consent_and_a_strong_secret(start: object) -> None:
    allowed = {"ALLOW_MOCK_PAYMENTS": "true"}
    assert start(MOCK_WEBHOOK_SECRET=RANDOM, **allowed).allow_mock_payments  # type: ignore[operator]
    assert "MOCK_WEBHOOK_SECRET" in refusal_of(start, MOCK_WEBHOOK_SECRET=RANDOM[:20], **allowed)
    assert "MOCK_WEBHOOK_SECRET" in refusal_of(start, MOCK_WEBHOOK_SECRET=WEBHOOK_SECRET, **allowed)


def _examples() -> list[tuple[str, str]]:
    """Every value of a secret in the example files, from which it may be copied."""
    found = re.findall(r"^#?([A-Z_]+)=(\S+)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    compose = (ROOT / "docker-compose.yml").read_text()
    found += re.findall(r"^\s+([A-Z_]+): (?!\$)(\S*:\S*@\S+|[^\s$]{12,})$", compose, re.MULTILINE)
    secret = {name.upper() for name, field in Settings.model_fields.items() if field.annotation is SecretStr}
    return [
        (name, value) for name, value in found if name in secret | {"DATABASE_URL", "REDIS_URL"} and "$" not in value
    ]


@pytest.mark.parametrize(("name", "value"), _examples())
def test_secrets_from_example_files_are_refused(start: object, name: str, value: str) -> None:
    assert name in refusal_of(start, **{name: value})


def test_example_files_contain_secrets() -> None:
    assert {"DATABASE_URL", "REDIS_URL"} <= {name for name, _ in _examples()}


@pytest.mark.parametrize(
    "value", ["*", "elsewhere.example.net", "https://shop.example.com/", "https://a.test,*", "https://*.a.test"]
)
def test_a_malformed_origin_is_refused(start: object, value: str) -> None:
    assert "CORS_ORIGINS" in refusal_of(start, CORS_ORIGINS=value)


def test_lists_are_separated_by_commas(start: object) -> None:
    settings: Settings = start(CORS_ORIGINS="https://a.test, https://b.test:8443")  # type: ignore[operator]
    assert settings.allowed_origins == ["https://a.test", "https://b.test:8443"]
    assert "TRUSTED_PROXIES" in refusal_of(start, TRUSTED_PROXIES="0.0.0.0/0")


def test_development_accepts_unsafe_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", "a secret for tests that is long enough")
    monkeypatch.setenv("RATE_LIMITS", "off")
    assert load_settings().rate_limits == "off"
