"""Access tokens: JWTs that name a person and a log-in, are verified without asking anybody, and soon run out.

Strict on purpose: we are the only ones who make them, so whatever differs from what we make is refused unread.
"""

import base64
import json
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import jwt

from ticketing.infra.config import ACCESS_TOKEN_SECONDS_MAX, get_settings
from ticketing.infra.errors import Unauthenticated
from ticketing.infra.security.keyring import Keyring, get_keyring
from ticketing.infra.security.revoked_sessions import ended_sessions

ALGORITHM = "HS256"
ISSUER = "ticketing"
AUDIENCE = "ticketing-api"
#: What the clocks of two of our machines may differ by.
CLOCK_SKEW_SECONDS = 5

# The three parts of a token of ours, in base64url without padding; the last is a digest of 32 bytes.
_TOKEN = re.compile(r"([A-Za-z0-9_-]{1,200})\.[A-Za-z0-9_-]{1,800}\.[A-Za-z0-9_-]{43}")
_signatures = jwt.PyJWS(algorithms=[ALGORITHM])

#: Tokens that a process remembers to have verified, 10 MB or so; the one that came first makes room.
REMEMBERED_MAX = 20_000
_remembered: dict[tuple[Keyring, str], "Claims"] = {}


class TokenExpired(Unauthenticated):
    """Your log-in has run out; refresh it."""

    code = "token_expired"


class SessionEnded(Unauthenticated):
    """This log-in has ended; please log in again."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid access token says."""

    user_id: UUID
    session_id: UUID
    expires_at: datetime


def issue_token(user_id: UUID, session_id: UUID) -> str:
    """An access token that lives for ACCESS_TOKEN_SECONDS, signed with the newest key."""
    now, key = int(time.time()), get_keyring().newest
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
    """Verify an access token. Neither database nor network is asked: all that decides is in the token and our keys.

    Raises:
        TokenExpired: it was good once.
        Unauthenticated: it never was.
    """
    try:
        return _claims_of(_verified(token))
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise Unauthenticated from None


def check_token(token: str) -> Claims:
    """`read_token`, and its log-in has not been ended; see `ended_sessions` for how soon that is known.

    Raises:
        TokenExpired, Unauthenticated: as `read_token` does.
        SessionEnded: the log-in is over, though the token would have lived on.
    """
    claims = _recall(token)
    if claims.session_id in ended_sessions:
        raise SessionEnded
    return claims


def _recall(token: str) -> Claims:
    """`read_token`, once: a token never changes, so what it said stays true until it runs out."""
    # The keys are a part of the name: with others, this process has verified nothing yet.
    name = (get_keyring(), token)
    claims = _remembered.get(name)
    if claims is None:
        claims = _remembered[name] = read_token(token)
        while len(_remembered) > REMEMBERED_MAX:
            del _remembered[next(iter(_remembered))]
    if claims.expires_at.timestamp() <= time.time():
        del _remembered[name]
        raise TokenExpired
    return claims


def _verified(token: str) -> Any:
    """What a token of ours says. The header is one that we write ourselves, to the letter: nothing in it is obeyed."""
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
    now = time.time()
    # `type`, not `isinstance`: JSON's true is no time.
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
    return json.loads(raw, object_pairs_hook=_without_doubles)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Two readers of a name that comes twice may each believe another value (RFC 8259 §4).
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a name comes twice")
    return dict(pairs)
