"""Accounts: registration, login, token refresh, logout and password changes."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox, security
from ticketing.infra.db import Database, new_id
from ticketing.infra.email_addresses import normalize_email
from ticketing.infra.errors import Conflict, Invalid, Unauthenticated
from ticketing.modules.iam.access import Identity
from ticketing.modules.iam.clients import Client
from ticketing.modules.iam.mail_tokens import service as mail_tokens
from ticketing.modules.iam.messages import PasswordChanged, UserRegistered
from ticketing.modules.iam.models import EndReason, LogInSession, RefreshToken, User
from ticketing.modules.iam.passwords import refuse_own_address
from ticketing.modules.iam.queries import find_user, get_user
from ticketing.modules.iam.schemas import LogInOut
from ticketing.modules.iam.second_factor import service as second_factor
from ticketing.modules.iam.sessions import lifetimes, refresh_tokens
from ticketing.modules.iam.sessions import service as sessions


class EmailTaken(Conflict):
    """This e-mail address is registered already."""

    code = "email_taken"


class BadCredentials(Unauthenticated):
    """The e-mail address or the password is wrong."""

    code = "bad_credentials"


class CurrentPasswordWrong(Invalid):
    """This is not your current password."""


class RefreshTokenInvalid(Unauthenticated):
    """This session has ended; please log in again."""


@dataclass(frozen=True, slots=True)
class PasswordChange:
    """The result of checking a password change; `new_hash` is None when the current password was wrong."""

    old_hash: str
    new_hash: str | None


@dataclass(frozen=True, slots=True)
class VerifiedPassword:
    """A user with a correct password, and a new hash when the stored one has outdated parameters."""

    user: User
    new_hash: str | None


async def register(
    session: AsyncSession, client: Client, email: str, password_hash: str, display_name: str | None
) -> LogInOut:
    """Create an account and its first session.

    Raises:
        EmailTaken: also for the second of two concurrent requests, which waits here until the first has committed.
    """
    fields = {"email": email, "password_hash": password_hash, "display_name": display_name}
    row = insert(User).values(id=new_id(), email_normalized=normalize_email(email), **fields)
    user = (await session.scalars(row.on_conflict_do_nothing().returning(User))).one_or_none()
    if user is None:
        raise EmailTaken(field="email")
    outbox.publish(session, UserRegistered(user_id=user.id))
    await mail_tokens.request_verification(session, user)
    return await sessions.open_session(session, client, user)


async def check_password(database: Database, email: str, password: str) -> VerifiedPassword:
    """Return the user with these credentials. No database connection is held while argon2 runs.

    Raises:
        BadCredentials: with the same message and timing, whichever of the two is wrong.
    """
    async with database.transaction() as session:
        user = await find_user(session, email)
    is_right = await security.verify_password(password, user.password_hash if user else None)
    if user is None or not is_right:
        raise BadCredentials
    is_old = security.needs_rehash(user.password_hash)
    return VerifiedPassword(user, await security.hash_password(password) if is_old else None)


async def log_in(session: AsyncSession, client: Client, verified: VerifiedPassword, code: str | None) -> LogInOut:
    """Open a session for a user whose password was correct.

    Raises:
        BadCredentials: the password was changed in the meantime; a session opened with the old one must not survive.
        SecondFactorRequired, SecondFactorWrong: the account has a second factor.
    """
    user = await sessions.lock_user(session, verified.user.id)
    if user.password_hash != verified.user.password_hash:
        raise BadCredentials
    await second_factor.check(session, user, code)
    if verified.new_hash is not None:
        user.password_hash = verified.new_hash
    return await sessions.open_session(session, client, user)


async def set_password(session: AsyncSession, user_id: UUID, password_hash: str) -> None:
    """Set a password and invalidate reset links. The caller decides which sessions end: see `end_sessions`."""
    await sessions.lock_user(session, user_id)
    await mail_tokens.void_resets(session, user_id)
    await session.execute(update(User).where(User.id == user_id).values(password_hash=password_hash))
    outbox.publish(session, PasswordChanged(user_id=user_id))


async def check_change(database: Database, user_id: UUID, current: str, new: str) -> PasswordChange:
    """Do the hashing for a password change. No database connection is held meanwhile.

    Raises:
        Invalid: the new password is the user's email address.
    """
    async with database.transaction() as session:
        user = await get_user(session, user_id)
    refuse_own_address(new, user.email, "new_password")
    is_right = await security.verify_password(current, user.password_hash)
    return PasswordChange(user.password_hash, await security.hash_password(new) if is_right else None)


async def change_password(session: AsyncSession, identity: Identity, change: PasswordChange) -> None:
    """Change the password and end every session but the caller's.

    Raises:
        CurrentPasswordWrong: it is wrong, or a concurrent request has changed it.
    """
    user = await sessions.lock_user(session, identity.user_id)
    if change.new_hash is None or user.password_hash != change.old_hash:
        raise CurrentPasswordWrong(field="current_password")
    await set_password(session, user.id, change.new_hash)
    reason = EndReason.PASSWORD_CHANGED
    await sessions.end_sessions(session, user.id, except_session=identity.session_id, reason=reason)


async def refresh(session: AsyncSession, client: Client, refresh_token: str) -> LogInOut | None:
    """Exchange a refresh token for the next pair of tokens.

    Return None on reuse, which means that someone else has a copy. The session is then ended, and the caller must let
    the transaction commit: an exception would roll that back.

    Raises:
        RefreshTokenInvalid: it is unknown or expired, or its session has ended.
    """
    user = await _lock_owner(session, refresh_token)
    token = await _find_live(session, refresh_token)
    if user is None or token is None:
        raise RefreshTokenInvalid
    if token.spent_at is not None:
        return await _refresh_again(session, client, user, token, refresh_token)
    await refresh_tokens.spend(session, token, client)
    in_use = update(LogInSession).where(LogInSession.id == token.session_id)
    await session.execute(in_use.values(**sessions.seen_from(client, LogInSession.created_at)))
    return await refresh_tokens.issue(session, user, token.session_id, refresh_tokens.successor_of(refresh_token))


async def log_out(session: AsyncSession, refresh_token: str) -> None:
    """End the session of this token. A session that is unknown or has ended already is not an error."""
    await _lock_owner(session, refresh_token)
    session_id = await session.scalar(select(RefreshToken.session_id).where(refresh_tokens.is_token(refresh_token)))
    if session_id is not None:
        await sessions.end_locked_session(session, session_id, EndReason.LOG_OUT)


async def _refresh_again(
    session: AsyncSession, client: Client, user: User, token: RefreshToken, refresh_token: str
) -> LogInOut | None:
    successor = await refresh_tokens.find_successor(session, token, refresh_token, client)
    if successor is None:
        await sessions.end_locked_session(session, token.session_id, EndReason.TOKEN_REUSED)
        return None
    return refresh_tokens.pair(user, token.session_id, successor)


async def _lock_owner(session: AsyncSession, refresh_token: str) -> User | None:
    owner = select(LogInSession.user_id).join(RefreshToken).where(refresh_tokens.is_token(refresh_token))
    user_id = await session.scalar(owner)
    return None if user_id is None else await sessions.lock_user(session, user_id)


async def _find_live(session: AsyncSession, refresh_token: str) -> RefreshToken | None:
    """Read after the lock was acquired, so that it sees what its previous holder has committed."""
    is_in_time = lifetimes.last_refresh(LogInSession.created_at) > func.now()
    is_live = sessions.is_open() & is_in_time & (RefreshToken.expires_at > func.now())
    live = select(RefreshToken).join(LogInSession).where(refresh_tokens.is_token(refresh_token), is_live)
    return (await session.scalars(live)).one_or_none()
