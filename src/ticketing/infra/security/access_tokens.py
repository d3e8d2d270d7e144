"""Access tokens: short-lived JWTs that name a user and a session, verified without database or network.

Verification is strict: the platform is the only issuer, so a token that differs in form from what it issues is refused
before it is parsed.
"""

import base64
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import jwt

from ticketing.infra.config import ACCESS_TOKEN_SECONDS_MAX, get_settings
from ticketing.infra.errors import Unauthenticated
from ticketing.infra.security.keyring import Keyring, get_keyring
from ticketing.infra.security.revoked_sessions import revoked_sessions
from ticketing.infra.system import database_clock

ALGORITHM = "HS256"
ISSUER = "ticketing"
AUDIENCE = "ticketing-api"
#: Largest difference between the clocks of two processes: each knows the database's clock to within a round trip.
CLOCK_SKEW_SECONDS = 5

# The three parts of a token in base64url without padding; the last is a digest of 32 bytes.
_TOKEN = re.compile(r"([A-Za-z0-9_-]{1,200})\.[A-Za-z0-9_-]{1,800}\.[A-Za-z0-9_-]{43}")
_signatures = jwt.PyJWS(algorithms=[ALGORITHM])

#: Verified tokens cached per process, about 10 MB; the oldest entry is evicted.
CACHED_TOKENS_MAX = 20_000
_cache: dict[tuple[Keyring, str], "Claims"] = {}


class TokenExpired(Unauthenticated):
    """This access token has expired; refresh it."""

    code = "token_expired"


class SessionRevoked(Unauthenticated):
    """This session has ended; please log in again."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a valid access token."""

    user_id: UUID
    session_id: UUID
    expires_at: datetime


def issue_token(user_id: UUID, session_id: UUID) -> str:
    """Issue an access token, valid for ACCESS_TOKEN_SECONDS and signed with the newest key."""
    now, key = int(database_clock.now()), get_keyring().newest
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(user_id),
        "sid": str(session_id),
        "typ": "access",
        "iat": now,
        "exp": now + get_settings().access_token_seconds,
    }
    return jwt.encode(claims, key.secret, ALGORITHM, {"kid": key.id})


def read_token(token: str) -> Claims:
    """Verify an access token using only the token and the signing keys.

    Raises:
        TokenExpired: the token is genuine but expired.
        Unauthenticated: the token is not genuine.
    """
    try:
        return _claims_of(_verified(token))
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise Unauthenticated from None


def check_token(token: str) -> Claims:
    """Verify an access token and that its session is not revoked; `revoked_sessions` says how soon that is known.

    Raises:
        TokenExpired, Unauthenticated: as `read_token` does.
        SessionRevoked: the session was ended before the token expired.
    """
    claims = _read_cached(token)
    if claims.session_id in revoked_sessions:
        raise SessionRevoked
    return claims


def _read_cached(token: str) -> Claims:
    """Verify each token once: tokens are immutable, so the result is valid until the token expires."""
    # The keyring is part of the cache key, so that a key rotation invalidates every entry.
    name = (get_keyring(), token)
    claims = _cache.get(name)
    if claims is None:
        claims = _cache[name] = read_token(token)
        while len(_cache) > CACHED_TOKENS_MAX:
            del _cache[next(iter(_cache))]
    if claims.expires_at.timestamp() <= database_clock.now():
        del _cache[name]
        raise TokenExpired
    return claims


def _verified(token: str) -> Any:
    """Return the payload. The header must equal what `issue_token` writes, so nothing in it selects an algorithm."""
    shape = _TOKEN.fullmatch(token)
    header = _parse(base64.urlsafe_b64decode(shape[1] + "==")) if shape else None
    key = get_keyring().find(header.get("kid")) if isinstance(header, dict) else None
    if key is None or header != {"typ": "JWT", "alg": ALGORITHM, "kid": key.id}:
        raise Unauthenticated
    return _parse(_signatures.decode(token, key.secret, algorithms=[ALGORITHM]))


def _claims_of(claims: Any) -> Claims:
    match claims:
        case {"iss": str(iss), "aud": str(aud), "typ": "access", "sub": str(sub), "sid": str(sid), **times}:
            issued_at, expires_at, starts_at = times.get("iat"), times.get("exp"), times.get("nbf", 0)
        case _:
            raise Unauthenticated
    if (iss, aud) != (ISSUER, AUDIENCE):
        raise Unauthenticated
    now = database_clock.now()
    # `type`, not `isinstance`: a bool is an int.
    if not (type(issued_at) is type(expires_at) is type(starts_at) is int):
        raise Unauthenticated
    if max(issued_at, starts_at) > now + CLOCK_SKEW_SECONDS or expires_at > issued_at + ACCESS_TOKEN_SECONDS_MAX:
        raise Unauthenticated
    if expires_at <= now:
        raise TokenExpired
    return Claims(_id(sub), _id(sid), datetime.fromtimestamp(expires_at, UTC))


def _id(text: str) -> UUID:
    found = UUID(text)
    if str(found) != text:
        raise ValueError(text)
    return found


def _parse(raw: bytes) -> Any:
    return json.loads(raw, object_pairs_hook=_without_duplicates)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Parsers differ in which value of a duplicate name they use (RFC 8259 §4).
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("duplicate name")
    return dict(pairs)
