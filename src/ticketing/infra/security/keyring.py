"""The secret keys of the platform: the newest one signs and encrypts, every one verifies and decrypts."""

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from ticketing.infra.config import get_settings, parse_secrets

#: Long enough that the keys of one platform have distinct ids, short enough to prefix every sealed value.
ID_BYTES = 4


@dataclass(frozen=True, slots=True)
class Key:
    """One part of JWT_SECRET."""

    secret: str

    @property
    def id(self) -> str:
        """The `kid` of its tokens: a digest, which reveals neither the key nor the number of keys."""
        return self.derive("id")[:ID_BYTES].hex()

    def derive(self, purpose: str) -> bytes:
        """Derive an independent key of 256 bits for one purpose."""
        return _derive(self.secret, purpose)


@lru_cache(maxsize=64)
def _derive(secret: str, purpose: str) -> bytes:
    return hmac.digest(secret.encode(), purpose.encode(), hashlib.sha256)


class Keyring:
    """The keys by id."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._by_id = {key.id: key for key in map(Key, secrets)}

    @property
    def newest(self) -> Key:
        return next(iter(self._by_id.values()))

    def find(self, key_id: object) -> Key | None:
        return self._by_id.get(key_id) if isinstance(key_id, str) else None

    def __iter__(self) -> Iterator[Key]:
        return iter(self._by_id.values())


def get_keyring() -> Keyring:
    """Return the keys of JWT_SECRET."""
    return _keyring(get_settings().jwt_secret.get_secret_value())


# Cached per value of JWT_SECRET: one request reads it several times.
@lru_cache(maxsize=4)
def _keyring(jwt_secret: str) -> Keyring:
    return Keyring(parse_secrets(jwt_secret))
