"""The secrets of a platform on one machine are generated once and kept."""

import base64
from pathlib import Path

import pytest
from pydantic import SecretStr

from ticketing.infra.config import Settings
from ticketing.infra.config.local_secrets import GENERATORS, missing_secrets


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in GENERATORS:
        monkeypatch.delenv(name, raising=False)
    return Settings(_env_file=None)  # type: ignore[call-arg]


def test_secrets_are_generated_once_and_kept(unset: Settings, tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    first = missing_secrets(unset, path)
    assert first == missing_secrets(unset, path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(base64.b64decode(first["TICKET_SIGNING_KEY"])) == 32
    assert len(first["JWT_SECRET"]) >= 32


def test_a_secret_that_is_set_is_not_generated(unset: Settings, tmp_path: Path) -> None:
    settings = unset.model_copy(update={"jwt_secret": SecretStr("mine" * 10)})
    assert set(missing_secrets(settings, tmp_path / "secrets.env")) == {"MOCK_WEBHOOK_SECRET", "TICKET_SIGNING_KEY"}


def test_a_missing_secret_is_added_to_an_existing_file(unset: Settings, tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    path.write_text("JWT_SECRET=kept\n")
    made = missing_secrets(unset, path)
    assert made["JWT_SECRET"] == "kept"
    assert made == missing_secrets(unset, path)


def test_no_secret_is_generated_in_production(unset: Settings, tmp_path: Path) -> None:
    settings = unset.model_copy(update={"environment": "production"})
    assert missing_secrets(settings, tmp_path / "secrets.env") == {}
    assert not (tmp_path / "secrets.env").exists()
