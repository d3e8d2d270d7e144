"""Password hashing, keyed digests and encryption at rest, with one algorithm for each."""

import hashlib
import hmac
import os
import secrets
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import Request
from passlib.hash import argon2

from ticketing.infra import log
from ticketing.infra.config import get_settings
from ticketing.infra.errors import Unauthenticated
from ticketing.infra.security.access_tokens import Claims, check_token
from ticketing.infra.security.client_network import network_of
from ticketing.infra.security.keyring import ID_BYTES, get_keyring
from ticketing.infra.system.fair_threads import FairThreads

# By default libpass loads argon2 at the first call, and a second call at the same moment fails.
argon2.set_backend("argon2_cffi")

# One argon2 hash takes 64 MiB and about 100 ms of a core: more threads would only slow down all of them. At most three
# seconds of work wait for one address, behind which many people may be; beyond it, requests fail with Overloaded.
_hashing = FairThreads("argon2", 2, waiting_max=300, waiting_of_source_max=60)


def authorization(request: Request) -> tuple[str, str]:
    """Return scheme (lower case) and credentials of the Authorization header, or two empty strings.

    Two such headers are refused: a proxy in front of the platform may have evaluated the other one.

    Raises:
        Unauthenticated: there is more than one such header.
    """
    headers = request.headers.getlist("authorization")
    if len(headers) > 1:
        raise Unauthenticated
    scheme, _, credentials = "".join(headers).partition(" ")
    return scheme.lower(), credentials.strip(" ")


def find_claims(request: Request) -> Claims | None:
    """Return the claims of the request's access token; None without a valid one."""
    try:
        scheme, credentials = authorization(request)
        return check_token(credentials) if scheme == "bearer" else None
    except Unauthenticated:
        return None


def identify(request: Request) -> str:
    """Return a stable name of the caller for idempotency keys and rate limits, without authorizing the request."""
    try:
        scheme, credentials = authorization(request)
    except Unauthenticated:
        return "anonymous"
    if (claims := find_claims(request)) is not None:
        return f"user:{claims.user_id}"
    machines = {"apikey": "key", "device": "device"}
    return f"{machines[scheme]}:{fingerprint(credentials)}" if scheme in machines else "anonymous"


def new_secret() -> str:
    """Return an unguessable token of 256 bits."""
    return secrets.token_urlsafe(32)


def fingerprint(secret: str) -> str:
    """Hash a random secret for storage. A plain hash is enough, because 256 random bits cannot be searched."""
    return hashlib.sha256(secret.encode()).hexdigest()


def keyed_digest(content: bytes, purpose: str = "digest") -> bytes:
    """Digest content of low entropy, such as a body with a password, so that it can be compared but not searched.

    A plain hash would let a reader of the database try a billion passwords per second, bypassing argon2.
    """
    return keyed_digests(content, purpose)[0]


def keyed_digests(content: bytes, purpose: str = "digest") -> list[bytes]:
    """Return the digests under every key, newest first, because a stored digest may be older than a key rotation."""
    return [hmac.digest(key.derive(purpose), content, "sha256") for key in get_keyring()]


def is_keyed_digest(digest: bytes, content: bytes, purpose: str = "digest") -> bool:
    """Whether `digest` is a digest of this content under any key."""
    return any(hmac.compare_digest(digest, known) for known in keyed_digests(content, purpose))


async def hash_password(password: str) -> str:
    """Hash with argon2id and ARGON2_MEMORY_KIB, outside the event loop. Raises Overloaded."""
    return await _hashing.run(_source(), lambda: str(_hasher().hash(password)))


async def verify_password(password: str, stored: str | None) -> bool:
    """Verify a password. An unknown user (`None`) takes as long as a known one. Raises Overloaded."""
    matches = await _hashing.run(_source(), lambda: bool(argon2.verify(password, stored or _dummy_hash())))
    return matches and stored is not None


def _source() -> str:
    return network_of(log.client_address.get())


@lru_cache(maxsize=1)
def _hasher() -> Any:
    return argon2.using(memory_cost=get_settings().argon2_memory_kib)


@lru_cache(maxsize=1)
def _dummy_hash() -> str:
    return str(_hasher().hash(secrets.token_hex(16)))


def needs_rehash(stored: str) -> bool:
    """Whether this hash was made with parameters other than the current ones."""
    return bool(_hasher().needs_update(stored))


class SealUnknown(Exception):
    """The value was encrypted with an unknown key or for another place, or is not a sealed value."""


def seal(plain: bytes, place: bytes = b"") -> bytes:
    """Encrypt a value for the database with the newest key; the key's id is the prefix.

    `place` names the row that the value belongs to: a copy of it in another row cannot be decrypted.
    """
    key, nonce = get_keyring().newest, os.urandom(12)
    return bytes.fromhex(key.id) + nonce + AESGCM(key.derive("seal")).encrypt(nonce, plain, place)


def unseal(sealed: bytes, place: bytes = b"") -> bytes:
    """Decrypt a sealed value with the key, and for the place, that it was sealed with. Raises SealUnknown."""
    key, rest = get_keyring().find(sealed[:ID_BYTES].hex()), sealed[ID_BYTES:]
    if key is None:
        raise SealUnknown
    try:
        return AESGCM(key.derive("seal")).decrypt(rest[:12], rest[12:], place)
    except (InvalidTag, ValueError):
        raise SealUnknown from None
