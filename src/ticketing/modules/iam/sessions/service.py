"""Log-ins: each is a row that its person can see and end, and lives on by refresh tokens, each of which buys the next.

Everything that happens to a person's log-ins happens under the lock of that person's row. Locking the log-in alone
would not do: while one request ends them all, another could open one that the first can't see yet.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, SQLColumnExpression, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.db import new_id, on_commit
from ticketing.infra.errors import NotFound
from ticketing.infra.security.revoked_sessions import ended_sessions
from ticketing.modules.iam.clients import Client
from ticketing.modules.iam.messages import SessionEnded
from ticketing.modules.iam.models import EndReason, LogInSession, RefreshToken, User
from ticketing.modules.iam.queries import UserUnknown
from ticketing.modules.iam.schemas import LogInOut
from ticketing.modules.iam.sessions import lifetimes, refresh_tokens

#: A person's log-ins at one time; the one that was used longest ago makes room.
SESSIONS_MAX = 20
#: Longer than any access token lives: until then every process has to know that the log-in has ended.
ENDED_KEPT = timedelta(days=1)
CLEAN_ROWS = 5000


class SessionUnknown(NotFound):
    """You have no such log-in, or it has ended already."""


async def open_session(session: AsyncSession, client: Client, user: User) -> LogInOut:
    """Begin a log-in; beyond SESSIONS_MAX another one ends."""
    await lock_person(session, user.id)
    await _make_room(session, user.id)
    row = LogInSession(id=new_id(), user_id=user.id, **seen_from(client, func.now()))
    session.add(row)
    await session.flush()
    return await refresh_tokens.issue(session, user, row.id)


async def end_session(session: AsyncSession, user_id: UUID, session_id: UUID) -> None:
    """End one log-in of this person. Raises SessionUnknown."""
    await lock_person(session, user_id)
    chosen = (LogInSession.user_id == user_id) & (LogInSession.id == session_id)
    if not await _end(session, chosen, EndReason.ENDED_BY_OWNER):
        raise SessionUnknown


async def end_sessions(
    session: AsyncSession, user_id: UUID, *, except_session: UUID | None = None, reason: EndReason
) -> int:
    """End all log-ins of a person, or all but one; how many there were. Their access tokens stop working as well."""
    await lock_person(session, user_id)
    chosen = LogInSession.user_id == user_id
    if except_session is not None:
        chosen &= LogInSession.id != except_session
    return await _end(session, chosen, reason)


async def end_one(session: AsyncSession, session_id: UUID, reason: EndReason) -> None:
    """End this log-in, whose person is locked by the caller; one that has ended already is no error."""
    await _end(session, LogInSession.id == session_id, reason)


async def list_sessions(session: AsyncSession, user_id: UUID) -> list[LogInSession]:
    """The log-ins of a person that are still open, the one that was used last first."""
    newest_first = (LogInSession.last_used_at.desc(), LogInSession.id.desc())
    mine = select(LogInSession).where(LogInSession.user_id == user_id, is_open()).order_by(*newest_first)
    return list((await session.scalars(mine.limit(SESSIONS_MAX))).all())


async def clean_sessions(session: AsyncSession) -> int:
    """Forget some log-ins that have run out or ended a day ago, and spent refresh tokens that are too old; how many.

    A day: until then it can be seen why one was logged out. After it, a token that comes back is merely unknown.
    """
    is_over = or_(LogInSession.expires_at < func.now(), LogInSession.revoked_at < func.now() - ENDED_KEPT)
    over = select(LogInSession.id).where(is_over).limit(CLEAN_ROWS)
    old = select(RefreshToken.id).where(RefreshToken.expires_at < func.now()).limit(CLEAN_ROWS)
    gone = await session.scalars(delete(LogInSession).where(LogInSession.id.in_(over)).returning(LogInSession.id))
    forgotten = await session.scalars(delete(RefreshToken).where(RefreshToken.id.in_(old)).returning(RefreshToken.id))
    return len(gone.all()) + len(forgotten.all())


async def lock_person(session: AsyncSession, user_id: UUID) -> User:
    """The person as they are now, locked. Raises UserUnknown."""
    # `key_share`: rows that merely refer to the person (orders, reservations) need not wait for us.
    locked = select(User).where(User.id == user_id).with_for_update(key_share=True)
    user = (await session.scalars(locked.execution_options(populate_existing=True))).one_or_none()
    if user is None:
        raise UserUnknown
    return user


def is_open() -> ColumnElement[bool]:
    """Neither ended, nor left unused for too long, nor at its absolute end, as the setting says today."""
    is_young = lifetimes.absolute_end(LogInSession.created_at) > func.now()
    return LogInSession.revoked_at.is_(None) & (LogInSession.expires_at > func.now()) & is_young


def seen_from(client: Client, began: SQLColumnExpression[datetime]) -> dict[str, object]:
    """What a log-in that `began` then remembers of the client that opened or refreshed it."""
    until = func.least(lifetimes.unused_end(), lifetimes.absolute_end(began))
    seen = {"user_agent": client.user_agent, "address": client.address}
    return {"last_used_at": func.now(), "expires_at": until, **seen}


async def _make_room(session: AsyncSession, user_id: UUID) -> None:
    newest_first = (LogInSession.last_used_at.desc(), LogInSession.id.desc())
    mine = select(LogInSession.id).where(LogInSession.user_id == user_id, is_open()).order_by(*newest_first)
    surplus = mine.offset(SESSIONS_MAX - 1).scalar_subquery()
    await _end(session, LogInSession.id.in_(surplus), EndReason.TOO_MANY)


async def _end(session: AsyncSession, chosen: ColumnElement[bool], reason: EndReason) -> int:
    end = update(LogInSession).where(chosen, is_open()).values(revoked_at=func.now(), end_reason=reason)
    ended = (await session.execute(end.returning(LogInSession.id, LogInSession.user_id))).all()
    for session_id, user_id in ended:
        outbox.publish(session, SessionEnded(user_id=user_id, session_id=session_id, reason=reason))
    on_commit(session, lambda: ended_sessions.add(session_id for session_id, _ in ended))
    return len(ended)
