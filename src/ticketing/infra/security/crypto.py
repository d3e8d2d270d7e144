"""Password hashes, digests and seals: the few cryptographic acts of the platform, with one algorithm for each."""

import asyncio
import hashlib
import hmac
import os
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import Request
from passlib.hash import argon2

from ticketing.infra.config import get_settings
from ticketing.infra.errors import Overloaded, Unauthenticated
from ticketing.infra.security.access_tokens import Claims, check_token
from ticketing.infra.security.keyring import ID_BYTES, get_keyring

T = TypeVar("T")

# argon2 takes 64 MiB and about 100 ms of a core each: more at once would only make all of them late.
_hashing = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")
# And who would wait longer than a few seconds is told so at once.
_hashing_places = threading.BoundedSemaphore(100)


def authorization(request: Request) -> tuple[str, str]:
    """The scheme, in lower case, and the credentials of the Authorization header; two empty strings without one.

    Two such headers are no way to ask: a proxy before us may have believed the other one.

    Raises:
        Unauthenticated: there is more than one.
    """
    headers = request.headers.getlist("authorization")
    if len(headers) > 1:
        raise Unauthenticated
    scheme, _, credentials = "".join(headers).partition(" ")
    return scheme.lower(), credentials.strip(" ")


def find_claims(request: Request) -> Claims | None:
    """What the request's access token says; None without a valid one."""
    try:
        scheme, credentials = authorization(request)
        return check_token(credentials) if scheme == "bearer" else None
    except Unauthenticated:
        return None


def identify(request: Request) -> str:
    """Whose request this is, as a stable name for keys and limits; whether it is welcome is not judged here."""
    try:
        scheme, credentials = authorization(request)
    except Unauthenticated:
        return "anonymous"
    if (claims := find_claims(request)) is not None:
        return f"user:{claims.user_id}"
    machines = {"apikey": "key", "device": "device"}
    return f"{machines[scheme]}:{fingerprint(credentials)}" if scheme in machines else "anonymous"


def new_secret() -> str:
    """An unguessable token of 256 bits."""
    return secrets.token_urlsafe(32)


def fingerprint(secret: str) -> str:
    """How a random secret is stored: it has 256 bits of its own, so a plain hash can't be searched."""
    return hashlib.sha256(secret.encode()).hexdigest()


def keyed_digest(content: bytes, purpose: str = "digest") -> bytes:
    """What may be compared but not searched: content that people chose, such as a body with a password in it.

    A plain hash of it would let whoever reads the database try a billion passwords a second, past argon2.
    """
    return keyed_digests(content, purpose)[0]


def keyed_digests(content: bytes, purpose: str = "digest") -> list[bytes]:
    """The digest by every key that we know, the newest first: one that was stored may be of an older key."""
    return [hmac.digest(key.derive(purpose), content, "sha256") for key in get_keyring()]


def is_keyed_digest(digest: bytes, content: bytes, purpose: str = "digest") -> bool:
    """Whether `digest` is one of this content, by any key that we know."""
    return any(hmac.compare_digest(digest, known) for known in keyed_digests(content, purpose))


async def hash_password(password: str) -> str:
    """argon2id with ARGON2_MEMORY_KIB, off the event loop. Raises Overloaded."""
    return await _in_turn(lambda: str(_hasher().hash(password)))


async def verify_password(password: str, stored: str | None) -> bool:
    """Compare; an unknown user (`None`) costs the same time as a known one. Raises Overloaded."""
    matches = await _in_turn(lambda: bool(argon2.verify(password, stored or _nobodys_hash())))
    return matches and stored is not None


async def _in_turn(work: Callable[[], T]) -> T:
    if not _hashing_places.acquire(blocking=False):
        raise Overloaded
    try:
        return await asyncio.get_running_loop().run_in_executor(_hashing, work)
    finally:
        _hashing_places.release()


@lru_cache(maxsize=1)
def _hasher() -> Any:
    return argon2.using(memory_cost=get_settings().argon2_memory_kib)


@lru_cache(maxsize=1)
def _nobodys_hash() -> str:
    return str(_hasher().hash(secrets.token_hex(16)))


def needs_rehash(stored: str) -> bool:
    """Whether this hash was made with other parameters than we use now."""
    return bool(_hasher().needs_update(stored))


class SealUnknown(Exception):
    """This was sealed with a key that we do not have any more, or it is no seal of ours."""


def seal(plain: bytes) -> bytes:
    """Encrypt what must not lie readable in the database, with the newest key, whose id stands before it."""
    key, nonce = get_keyring().newest, os.urandom(12)
    return bytes.fromhex(key.id) + nonce + AESGCM(key.derive("seal")).encrypt(nonce, plain, None)


def unseal(sealed: bytes) -> bytes:
    """Read what was sealed, with the key that it was sealed with. Raises SealUnknown."""
    key, rest = get_keyring().find(sealed[:ID_BYTES].hex()), sealed[ID_BYTES:]
    if key is None:
        raise SealUnknown
    try:
        return AESGCM(key.derive("seal")).decrypt(rest[:12], rest[12:], None)
    except (InvalidTag, ValueError):
        raise SealUnknown from None
