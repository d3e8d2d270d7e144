"""Accounts, and the ways into one and out again."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox, security
from ticketing.infra.db import Database, new_id
from ticketing.infra.errors import Conflict, Invalid, Unauthenticated
from ticketing.modules.iam.access import Identity
from ticketing.modules.iam.clients import Client
from ticketing.modules.iam.mail_tokens import service as letters
from ticketing.modules.iam.messages import PasswordChanged, UserRegistered
from ticketing.modules.iam.models import EndReason, LogInSession, RefreshToken, User
from ticketing.modules.iam.passwords import refuse_own_address
from ticketing.modules.iam.queries import find_user, get_user, normalize_email
from ticketing.modules.iam.schemas import LogInOut
from ticketing.modules.iam.second_factor import service as second_factor
from ticketing.modules.iam.sessions import lifetimes, refresh_tokens
from ticketing.modules.iam.sessions import service as sessions


class EmailTaken(Conflict):
    """Somebody has registered with this e-mail address already."""

    code = "email_taken"


class BadCredentials(Unauthenticated):
    """The e-mail address or the password is wrong."""

    code = "bad_credentials"


class CurrentPasswordWrong(Invalid):
    """This is not your present password."""


class RefreshTokenInvalid(Unauthenticated):
    """This log-in has ended; please log in again."""


@dataclass(frozen=True, slots=True)
class PasswordChange:
    """What was found out about a wish for another password; `new_hash` is None when the present one was wrong."""

    old_hash: str
    new_hash: str | None


@dataclass(frozen=True, slots=True)
class Checked:
    """A person whose password was right, and its hash with today's parameters when it has others."""

    user: User
    better_hash: str | None


async def register(
    session: AsyncSession, client: Client, email: str, password_hash: str, display_name: str | None
) -> LogInOut:
    """Open an account, and its first log-in.

    Raises:
        EmailTaken: also for the second of two at the same moment, which waits here for the first to commit.
    """
    fields = {"email": email, "password_hash": password_hash, "display_name": display_name}
    row = insert(User).values(id=new_id(), email_normalized=normalize_email(email), **fields)
    user = (await session.scalars(row.on_conflict_do_nothing().returning(User))).one_or_none()
    if user is None:
        raise EmailTaken(field="email")
    outbox.publish(session, UserRegistered(user_id=user.id))
    await letters.request_verification(session, user)
    return await sessions.open_session(session, client, user)


async def check_password(database: Database, email: str, password: str) -> Checked:
    """The person whom these credentials belong to. No connection is held while argon2 is at work.

    Raises:
        BadCredentials: in the same words and after the same time, whichever of the two is wrong.
    """
    async with database.transaction() as session:
        user = await find_user(session, email)
    is_right = await security.verify_password(password, user.password_hash if user else None)
    if user is None or not is_right:
        raise BadCredentials
    is_old = security.needs_rehash(user.password_hash)
    return Checked(user, await security.hash_password(password) if is_old else None)


async def log_in(session: AsyncSession, client: Client, checked: Checked, code: str | None) -> LogInOut:
    """Open a log-in for somebody whose password was right.

    Raises:
        BadCredentials: the password was changed since; a log-in with the old one must not outlive the change.
        SecondFactorRequired, SecondFactorWrong: this person wants to be asked for more than the password.
    """
    user = await sessions.lock_person(session, checked.user.id)
    if user.password_hash != checked.user.password_hash:
        raise BadCredentials
    await second_factor.check(session, user, code)
    if checked.better_hash is not None:
        user.password_hash = checked.better_hash
    return await sessions.open_session(session, client, user)


async def set_password(session: AsyncSession, user_id: UUID, password_hash: str) -> None:
    """Another password; links to one are void. Which log-ins end is for the caller to say: see `end_sessions`."""
    await sessions.lock_person(session, user_id)
    await letters.void_resets(session, user_id)
    await session.execute(update(User).where(User.id == user_id).values(password_hash=password_hash))
    outbox.publish(session, PasswordChanged(user_id=user_id))


async def check_change(database: Database, user_id: UUID, current: str, new: str) -> PasswordChange:
    """Do the hashing for a change of password. No connection is held meanwhile.

    Raises:
        Invalid: the new one is the person's own address.
    """
    async with database.transaction() as session:
        user = await get_user(session, user_id)
    refuse_own_address(new, user.email, "new_password")
    is_right = await security.verify_password(current, user.password_hash)
    return PasswordChange(user.password_hash, await security.hash_password(new) if is_right else None)


async def change_password(session: AsyncSession, identity: Identity, change: PasswordChange) -> None:
    """Another password; every log-in ends but the one that asks.

    Raises:
        CurrentPasswordWrong: it was, or somebody else has just changed it.
    """
    user = await sessions.lock_person(session, identity.user_id)
    if change.new_hash is None or user.password_hash != change.old_hash:
        raise CurrentPasswordWrong(field="current_password")
    await set_password(session, user.id, change.new_hash)
    reason = EndReason.PASSWORD_CHANGED
    await sessions.end_sessions(session, user.id, except_session=identity.session_id, reason=reason)


async def refresh(session: AsyncSession, client: Client, refresh_token: str) -> LogInOut | None:
    """Spend a refresh token on the next pair.

    None means that it came back when it should not have: somebody else holds a copy, the log-in is ended, and the
    caller must let the transaction commit, for an exception would undo that.

    Raises:
        RefreshTokenInvalid: it is unknown or too old, or its log-in has ended.
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
    """End the log-in that this token belongs to; one that has ended already, or never was, is no error."""
    await _lock_owner(session, refresh_token)
    session_id = await session.scalar(select(RefreshToken.session_id).where(refresh_tokens.is_token(refresh_token)))
    if session_id is not None:
        await sessions.end_one(session, session_id, EndReason.LOG_OUT)


async def _refresh_again(
    session: AsyncSession, client: Client, user: User, token: RefreshToken, refresh_token: str
) -> LogInOut | None:
    successor = await refresh_tokens.find_successor(session, token, refresh_token, client)
    if successor is None:
        await sessions.end_one(session, token.session_id, EndReason.TOKEN_REUSED)
        return None
    return refresh_tokens.pair(user, token.session_id, successor)


async def _lock_owner(session: AsyncSession, refresh_token: str) -> User | None:
    owner = select(LogInSession.user_id).join(RefreshToken).where(refresh_tokens.is_token(refresh_token))
    user_id = await session.scalar(owner)
    return None if user_id is None else await sessions.lock_person(session, user_id)


async def _find_live(session: AsyncSession, refresh_token: str) -> RefreshToken | None:
    """Asked after the lock was had, so that it sees what the one before us has done."""
    is_in_time = lifetimes.last_refresh(LogInSession.created_at) > func.now()
    is_live = sessions.is_open() & is_in_time & (RefreshToken.expires_at > func.now())
    live = select(RefreshToken).join(LogInSession).where(refresh_tokens.is_token(refresh_token), is_live)
    return (await session.scalars(live)).one_or_none()
