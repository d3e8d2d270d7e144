"""Tokens, password hashes and seals: the few cryptographic acts of the platform, with one algorithm for each."""

import asyncio
import hashlib
import hmac
import os
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, TypeVar
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import Request
from passlib.hash import argon2

from ticketing.infra.config import get_settings
from ticketing.infra.errors import Overloaded, Unauthenticated

T = TypeVar("T")

ALGORITHM = "HS256"
ISSUER = "ticketing"
AUDIENCE = "ticketing-api"

# argon2 takes 64 MiB and about 100 ms of a core each: more at once would only make all of them late.
_hashing = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")
# And who would wait longer than a few seconds is told so at once.
_hashing_places = threading.BoundedSemaphore(100)


class TokenExpired(Unauthenticated):
    """Your log-in has run out; refresh it."""

    code = "token_expired"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid access token says."""

    user_id: UUID
    session_id: UUID
    expires_at: datetime


def issue_token(user_id: UUID, session_id: UUID, purpose: Literal["access"] = "access") -> str:
    """A signed token that lives for ACCESS_TOKEN_SECONDS."""
    settings, now = get_settings(), datetime.now(UTC)
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(user_id),
        "sid": str(session_id),
        "typ": purpose,
        "iat": now,
        "exp": now + timedelta(seconds=settings.access_token_seconds),
    }
    return jwt.encode(claims, settings.jwt_secret.get_secret_value(), ALGORITHM)


def read_token(token: str) -> Claims:
    """Verify an access token.

    Raises:
        TokenExpired: it was good once.
        Unauthenticated: it never was.
    """
    try:
        claims = jwt.decode(
            token,
            get_settings().jwt_secret.get_secret_value(),
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": ["iss", "aud", "exp", "iat", "sub", "sid", "typ"]},
        )
        if claims["typ"] != "access":
            raise Unauthenticated
        expires_at = datetime.fromtimestamp(claims["exp"], UTC)
        return Claims(UUID(claims["sub"]), UUID(claims["sid"]), expires_at)
    except jwt.ExpiredSignatureError:
        raise TokenExpired from None
    except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError):
        raise Unauthenticated from None


def authorization(request: Request) -> tuple[str, str]:
    """The scheme, in lower case, and the credentials of the Authorization header; two empty strings without one."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    return scheme.lower(), credentials.strip()


def identify(request: Request) -> str:
    """Whose request this is, as a stable name for keys and limits; whether it is welcome is not judged here."""
    scheme, credentials = authorization(request)
    if scheme == "bearer":
        try:
            return f"user:{read_token(credentials).user_id}"
        except Unauthenticated:
            return "anonymous"
    if scheme == "apikey":
        return f"key:{fingerprint(credentials)}"
    return "anonymous"


def new_secret() -> str:
    """An unguessable token of 256 bits."""
    return secrets.token_urlsafe(32)


def fingerprint(secret: str) -> str:
    """How a random secret is stored: it has 256 bits of its own, so a plain hash can't be searched."""
    return hashlib.sha256(secret.encode()).hexdigest()


def keyed_digest(content: bytes) -> bytes:
    """What may be compared but not searched: content that people chose, such as a body with a password in it.

    A plain hash of it would let whoever reads the database try a billion passwords a second, past argon2.
    """
    return hmac.digest(_derived_key("digest"), content, "sha256")


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


def seal(plain: bytes) -> bytes:
    """Encrypt what must not lie readable in the database."""
    nonce = os.urandom(12)
    return nonce + AESGCM(_derived_key("seal")).encrypt(nonce, plain, None)


def unseal(sealed: bytes) -> bytes:
    return AESGCM(_derived_key("seal")).decrypt(sealed[:12], sealed[12:], None)


def _derived_key(purpose: str) -> bytes:
    return hashlib.sha256(f"{purpose}:{get_settings().jwt_secret.get_secret_value()}".encode()).digest()
