"""Login sessions: rows that their user can list and end, extended by refresh tokens.

Every change of a user's sessions holds the lock of the user's row. Locking the session alone is not enough: while one
request ends all sessions, another could open one that the first cannot see yet.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, SQLColumnExpression, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.db import new_id, on_commit
from ticketing.infra.errors import NotFound
from ticketing.infra.security.revoked_sessions import revoked_sessions
from ticketing.modules.iam.clients import Client
from ticketing.modules.iam.messages import SessionEnded
from ticketing.modules.iam.models import EndReason, LogInSession, RefreshToken, User
from ticketing.modules.iam.queries import UserUnknown
from ticketing.modules.iam.schemas import LogInOut
from ticketing.modules.iam.sessions import lifetimes, refresh_tokens

#: Open sessions per user; beyond it, the least recently used one ends.
SESSIONS_MAX = 20
#: Longer than the lifetime of any access token: until then every process must be able to read the revocation.
KEEP_ENDED = timedelta(days=1)
CLEAN_ROWS = 5000


class SessionUnknown(NotFound):
    """You have no such session, or it has ended already."""


async def open_session(session: AsyncSession, client: Client, user: User) -> LogInOut:
    """Open a session; beyond SESSIONS_MAX, the least recently used one ends."""
    await lock_user(session, user.id)
    await _end_surplus(session, user.id)
    row = LogInSession(id=new_id(), user_id=user.id, **seen_from(client, func.now()))
    session.add(row)
    await session.flush()
    return await refresh_tokens.issue(session, user, row.id)


async def end_session(session: AsyncSession, user_id: UUID, session_id: UUID) -> None:
    """End one session of this user. Raises SessionUnknown."""
    await lock_user(session, user_id)
    chosen = (LogInSession.user_id == user_id) & (LogInSession.id == session_id)
    if not await _end(session, chosen, EndReason.ENDED_BY_OWNER):
        raise SessionUnknown


async def end_sessions(
    session: AsyncSession, user_id: UUID, *, except_session: UUID | None = None, reason: EndReason
) -> int:
    """End all sessions of a user, or all but one, with their access tokens. Return their number."""
    await lock_user(session, user_id)
    chosen = LogInSession.user_id == user_id
    if except_session is not None:
        chosen &= LogInSession.id != except_session
    return await _end(session, chosen, reason)


async def end_locked_session(session: AsyncSession, session_id: UUID, reason: EndReason) -> None:
    """End a session; the caller holds the lock of its user. A session that has ended already is not an error."""
    await _end(session, LogInSession.id == session_id, reason)


async def list_sessions(session: AsyncSession, user_id: UUID) -> list[LogInSession]:
    """Return the open sessions of a user, most recently used first."""
    newest_first = (LogInSession.last_used_at.desc(), LogInSession.id.desc())
    mine = select(LogInSession).where(LogInSession.user_id == user_id, is_open()).order_by(*newest_first)
    return list((await session.scalars(mine.limit(SESSIONS_MAX))).all())


async def clean_sessions(session: AsyncSession) -> int:
    """Delete a batch of sessions that expired or ended a day ago, and of expired refresh tokens. Return their number.

    Until then the reason of a logout can be looked up. Afterwards a reused token is merely unknown.
    """
    # One condition per statement: each has its index, and together they would have none.
    expired = await _delete(session, LogInSession, LogInSession.expires_at < func.now())
    ended = await _delete(session, LogInSession, LogInSession.revoked_at < func.now() - KEEP_ENDED)
    return expired + ended + await _delete(session, RefreshToken, RefreshToken.expires_at < func.now())


async def _delete(
    session: AsyncSession, table: type[LogInSession | RefreshToken], condition: ColumnElement[bool]
) -> int:
    old = select(table.id).where(condition).limit(CLEAN_ROWS).with_for_update(skip_locked=True)
    return len((await session.scalars(delete(table).where(table.id.in_(old)).returning(table.id))).all())


async def lock_user(session: AsyncSession, user_id: UUID) -> User:
    """Return the user, re-read and locked. Raises UserUnknown."""
    # `key_share`: inserting rows that refer to the user (orders, reservations) does not wait for this lock.
    locked = select(User).where(User.id == user_id).with_for_update(key_share=True)
    user = (await session.scalars(locked.execution_options(populate_existing=True))).one_or_none()
    if user is None:
        raise UserUnknown
    return user


def is_open() -> ColumnElement[bool]:
    """Neither ended, nor past its inactivity timeout or its absolute maximum under the current settings."""
    within_maximum = lifetimes.absolute_end(LogInSession.created_at) > func.now()
    return LogInSession.revoked_at.is_(None) & (LogInSession.expires_at > func.now()) & within_maximum


def seen_from(client: Client, began: SQLColumnExpression[datetime]) -> dict[str, object]:
    """Return the columns that record the client which opened or refreshed a session that `began` then."""
    until = func.least(lifetimes.unused_end(), lifetimes.absolute_end(began))
    seen = {"user_agent": client.user_agent, "address": client.address}
    return {"last_used_at": func.now(), "expires_at": until, **seen}


async def _end_surplus(session: AsyncSession, user_id: UUID) -> None:
    newest_first = (LogInSession.last_used_at.desc(), LogInSession.id.desc())
    mine = select(LogInSession.id).where(LogInSession.user_id == user_id, is_open()).order_by(*newest_first)
    surplus = mine.offset(SESSIONS_MAX - 1).scalar_subquery()
    await _end(session, LogInSession.id.in_(surplus), EndReason.TOO_MANY)


async def _end(session: AsyncSession, chosen: ColumnElement[bool], reason: EndReason) -> int:
    end = update(LogInSession).where(chosen, is_open()).values(revoked_at=func.now(), end_reason=reason)
    ended = (await session.execute(end.returning(LogInSession.id, LogInSession.user_id))).all()
    for session_id, user_id in ended:
        outbox.publish(session, SessionEnded(user_id=user_id, session_id=session_id, reason=reason))
    on_commit(session, lambda: revoked_sessions.add(session_id for session_id, _ in ended))
    return len(ended)
