"""Refresh tokens with rotation and reuse detection (RFC 9700 §4.14.2): reuse of a spent token ends the session.

Reuse is not always theft: a response gets lost, or two tabs refresh at once. For GRACE_SECONDS, the client that spent a
token gets the same successor again. Successors are not stored but derived from the previous token under a secret key,
so only a holder of the one can obtain the other.
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
    """Issue an access token and a refresh token, random unless given. Only a digest of it is stored."""
    secret = refresh_token or security.new_secret()
    values = {"session_id": session_id, "token_hash": security.fingerprint(secret)}
    ends = func.least(lifetimes.unused_end(), lifetimes.last_refresh(LogInSession.created_at))
    until = select(ends).where(LogInSession.id == session_id).scalar_subquery()
    await session.execute(insert(RefreshToken).values(id=new_id(), expires_at=until, **values))
    return pair(user, session_id, secret)


def pair(user: User, session_id: UUID, refresh_token: str) -> LogInOut:
    """Return the response body of a login: this refresh token and a new access token."""
    return LogInOut(
        user=UserOut.model_validate(user),
        access_token=access_tokens.issue_token(user.id, session_id),
        refresh_token=refresh_token,
        expires_in=get_settings().access_token_seconds,
    )


async def spend(session: AsyncSession, token: RefreshToken, client: Client) -> None:
    """Mark a token as spent. For GRACE_SECONDS, the same client still gets its successor."""
    spent = {"spent_at": func.now(), "spent_by": client.fingerprint}
    await session.execute(update(RefreshToken).where(RefreshToken.id == token.id).values(**spent))


def successor_of(refresh_token: str) -> str:
    """Return the token that follows this one."""
    return _successors(refresh_token)[0]


async def find_successor(session: AsyncSession, token: RefreshToken, refresh_token: str, client: Client) -> str | None:
    """Return the successor of a spent token if it may be issued again; None when this counts as reuse.

    A spent successor has arrived at its client, which then has no reason to use the previous token.
    """
    if not client.has_fingerprint(token.spent_by):
        return None
    # Under every key, because the keys may just have been rotated.
    by_hash = {security.fingerprint(text): text for text in _successors(refresh_token)}
    within_grace = select(RefreshToken.id).where(
        RefreshToken.id == token.id, RefreshToken.spent_at > func.now() - timedelta(seconds=GRACE_SECONDS)
    )
    unspent = RefreshToken.token_hash.in_(by_hash) & RefreshToken.spent_at.is_(None) & within_grace.exists()
    found = await session.scalar(select(RefreshToken.token_hash).where(unspent))
    return None if found is None else by_hash[found]


def is_token(refresh_token: str) -> ColumnElement[bool]:
    return RefreshToken.token_hash == security.fingerprint(refresh_token)


def _successors(refresh_token: str) -> list[str]:
    digests = security.keyed_digests(refresh_token.encode(), "refresh token")
    return [base64.urlsafe_b64encode(digest).decode().rstrip("=") for digest in digests]
