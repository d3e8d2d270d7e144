"""The secrets of a platform on one machine: generated on the first start and kept in its data folder."""

import base64
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import SecretStr

from ticketing.infra.config.settings import Settings

GENERATORS: Mapping[str, Callable[[], str]] = {
    "JWT_SECRET": lambda: secrets.token_urlsafe(48),
    "MOCK_WEBHOOK_SECRET": lambda: secrets.token_urlsafe(32),
    "TICKET_SIGNING_KEY": lambda: base64.b64encode(secrets.token_bytes(32)).decode(),
}


def missing_secrets(settings: Settings, path: Path) -> dict[str, str]:
    """Values for the secrets that are not set, by environment variable: from the file at `path`, or new ones.

    Production generates none: there, a feature whose secret is not set is off.
    """
    if settings.environment == "production":
        return {}
    kept = _read(path)
    complete = {**{name: generate() for name, generate in GENERATORS.items()}, **kept}
    if complete != kept:
        _write(path, complete)
    return {name: complete[name] for name in GENERATORS if not _is_set(settings, name)}


def _is_set(settings: Settings, name: str) -> bool:
    value = getattr(settings, name.lower())
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)


def _read(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    pairs = (line.partition("=") for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs if value.strip()}


def _write(path: Path, values: Mapping[str, str]) -> None:
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("# Generated on the first start. Sold tickets are valid for as long as the signing key is kept.\n")
        file.writelines(f"{name}={value}\n" for name, value in values.items())
    draft.rename(path)
