"""The keys of the platform: what is made takes the newest, what is read takes the one that it was made with."""

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from ticketing.infra.config import get_settings, parse_secrets

#: Long enough that two keys of one platform never share an id; short enough to stand before everything that is sealed.
ID_BYTES = 4


@dataclass(frozen=True, slots=True)
class Key:
    """One part of JWT_SECRET."""

    secret: str

    @property
    def id(self) -> str:
        """The `kid` of its tokens: a digest, so that it says nothing about the key and not how many there were."""
        return self.derive("id")[:ID_BYTES].hex()

    def derive(self, purpose: str) -> bytes:
        """A key of 256 bits for one purpose alone: what is learnt about one says nothing about another."""
        return _derive(self.secret, purpose)


@lru_cache(maxsize=64)
def _derive(secret: str, purpose: str) -> bytes:
    return hmac.digest(secret.encode(), purpose.encode(), hashlib.sha256)


class Keyring:
    """The keys by their ids. An id from outside is looked up here and goes nowhere else."""

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
    """The keys of JWT_SECRET."""
    return _keyring(get_settings().jwt_secret.get_secret_value())


# Made once for each value of JWT_SECRET: a request asks for it several times.
@lru_cache(maxsize=4)
def _keyring(jwt_secret: str) -> Keyring:
    return Keyring(parse_secrets(jwt_secret))
