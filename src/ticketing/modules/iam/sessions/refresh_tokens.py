"""Refresh tokens: each is good once and buys the next; one that comes back from somewhere else ends its log-in.

Coming back is not always theft: an answer gets lost, or two tabs ask at once. So for GRACE_SECONDS the client that
spent a token gets the same successor again. A successor is stored nowhere: it is derived from the token before it under
a key of ours, so only who holds the one can be given the other. RFC 9700 §4.14.2 asks for the rotation.
"""

import base64
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import security
from ticketing.infra.config import get_settings
from ticketing.infra.db import new_id
from ticketing.infra.security import access_tokens
from ticketing.modules.iam.clients import Client
from ticketing.modules.iam.models import LogInSession, RefreshToken, User
from ticketing.modules.iam.schemas import LogInOut, UserOut
from ticketing.modules.iam.sessions import lifetimes

GRACE_SECONDS = 10


async def issue(session: AsyncSession, user: User, session_id: UUID, refresh_token: str | None = None) -> LogInOut:
    """An access token, and a refresh token that is stored as a digest only; without `refresh_token`, a random one."""
    secret = refresh_token or security.new_secret()
    values = {"session_id": session_id, "token_hash": security.fingerprint(secret)}
    ends = func.least(lifetimes.unused_end(), lifetimes.last_refresh(LogInSession.created_at))
    until = select(ends).where(LogInSession.id == session_id).scalar_subquery()
    await session.execute(insert(RefreshToken).values(id=new_id(), expires_at=until, **values))
    return pair(user, session_id, secret)


def pair(user: User, session_id: UUID, refresh_token: str) -> LogInOut:
    """What a log-in is answered with: this refresh token, and a fresh access token."""
    return LogInOut(
        user=UserOut.model_validate(user),
        access_token=access_tokens.issue_token(user.id, session_id),
        refresh_token=refresh_token,
        expires_in=get_settings().access_token_seconds,
    )


async def spend(session: AsyncSession, token: RefreshToken, client: Client) -> None:
    """From here on this token buys nothing, except its successor for the same client for GRACE_SECONDS."""
    spent = {"spent_at": func.now(), "spent_by": client.fingerprint}
    await session.execute(update(RefreshToken).where(RefreshToken.id == token.id).values(**spent))


def successor_of(refresh_token: str) -> str:
    """The one token that this one buys."""
    return _successors(refresh_token)[0]


async def find_successor(session: AsyncSession, token: RefreshToken, refresh_token: str, client: Client) -> str | None:
    """What the spent `token` has bought, when it may be given again; None when this is a reuse.

    Once the successor itself was spent it had arrived, so nobody has a reason to come with the one before it.
    """
    if not client.is_same_as(token.spent_by):
        return None
    # By whichever key: the keys may have been rotated a moment ago.
    by_hash = {security.fingerprint(text): text for text in _successors(refresh_token)}
    is_fresh = select(RefreshToken.id).where(
        RefreshToken.id == token.id, RefreshToken.spent_at > func.now() - timedelta(seconds=GRACE_SECONDS)
    )
    unspent = RefreshToken.token_hash.in_(by_hash) & RefreshToken.spent_at.is_(None) & is_fresh.exists()
    found = await session.scalar(select(RefreshToken.token_hash).where(unspent))
    return None if found is None else by_hash[found]


def is_token(refresh_token: str) -> ColumnElement[bool]:
    return RefreshToken.token_hash == security.fingerprint(refresh_token)


def _successors(refresh_token: str) -> list[str]:
    digests = security.keyed_digests(refresh_token.encode(), "refresh token")
    return [base64.urlsafe_b64encode(digest).decode().rstrip("=") for digest in digests]
