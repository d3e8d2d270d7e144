"""Accounts and log-ins. A log-in is a family of refresh tokens; each is good once, and buys the next.

Everything that happens to a person's families happens under the lock of that person's row. Locking the token alone
would not do: while one request revokes the family, another could add a link to it that the first can't see yet.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox, security
from ticketing.infra.config import get_settings
from ticketing.infra.db import Database, new_id
from ticketing.infra.errors import Conflict, Unauthenticated
from ticketing.modules.iam.messages import UserRegistered
from ticketing.modules.iam.models import RefreshToken, User
from ticketing.modules.iam.queries import find_user, normalize_email
from ticketing.modules.iam.schemas import LogInOut, UserOut


class EmailTaken(Conflict):
    """Somebody has registered with this e-mail address already."""

    code = "email_taken"


class BadCredentials(Unauthenticated):
    """The e-mail address or the password is wrong."""

    code = "bad_credentials"


class RefreshTokenInvalid(Unauthenticated):
    """This log-in has ended; please log in again."""


async def register(session: AsyncSession, email: str, password_hash: str, display_name: str | None) -> LogInOut:
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
    return await open_log_in(session, user)


async def check_password(database: Database, email: str, password: str) -> User:
    """The person whom these credentials belong to. No connection is held while argon2 is at work.

    Raises:
        BadCredentials: in the same words and after the same time, whichever of the two is wrong.
    """
    async with database.transaction() as session:
        user = await find_user(session, email)
    is_right = await security.verify_password(password, user.password_hash if user else None)
    if user is None or not is_right:
        raise BadCredentials
    return user


async def open_log_in(session: AsyncSession, user: User) -> LogInOut:
    """Begin a new family of refresh tokens."""
    return await _issue(session, user, family_id=new_id())


async def refresh(session: AsyncSession, refresh_token: str) -> LogInOut | None:
    """Spend a refresh token on the next pair.

    None means that it was spent before: somebody else holds a copy, the whole family is revoked, and the caller must
    let the transaction commit, for an exception would undo the revocation.

    Raises:
        RefreshTokenInvalid: it is unknown, revoked, or too old.
    """
    user = await _lock_owner(session, refresh_token)
    is_live = RefreshToken.revoked_at.is_(None) & (RefreshToken.expires_at > func.now())
    token = (await session.scalars(select(RefreshToken).where(_is(refresh_token), is_live))).one_or_none()
    if user is None or token is None:
        raise RefreshTokenInvalid
    if token.spent_at is not None:
        await _revoke(session, token.family_id)
        return None
    await session.execute(update(RefreshToken).where(RefreshToken.id == token.id).values(spent_at=func.now()))
    return await _issue(session, user, token.family_id)


async def log_out(session: AsyncSession, refresh_token: str) -> None:
    """End the log-in that this token belongs to; one that has ended already, or never was, is no error."""
    await _lock_owner(session, refresh_token)
    family_id = await session.scalar(select(RefreshToken.family_id).where(_is(refresh_token)))
    if family_id is not None:
        await _revoke(session, family_id)


async def _lock_owner(session: AsyncSession, refresh_token: str) -> User | None:
    owner = select(RefreshToken.user_id).where(_is(refresh_token)).scalar_subquery()
    # `key_share`: rows that merely refer to the person (orders, reservations) need not wait for us.
    return (await session.scalars(select(User).where(User.id == owner).with_for_update(key_share=True))).one_or_none()


async def _revoke(session: AsyncSession, family_id: UUID) -> None:
    is_open = (RefreshToken.family_id == family_id) & RefreshToken.revoked_at.is_(None)
    await session.execute(update(RefreshToken).where(is_open).values(revoked_at=func.now()))


async def _issue(session: AsyncSession, user: User, family_id: UUID) -> LogInOut:
    settings, secret = get_settings(), security.new_secret()
    await session.execute(
        insert(RefreshToken).values(
            id=new_id(),
            user_id=user.id,
            family_id=family_id,
            token_hash=security.fingerprint(secret),
            expires_at=func.now() + timedelta(seconds=settings.refresh_token_seconds),
        )
    )
    return LogInOut(
        user=UserOut.model_validate(user),
        access_token=security.issue_token(user.id, family_id),
        refresh_token=secret,
        expires_in=settings.access_token_seconds,
    )


def _is(refresh_token: str) -> ColumnElement[bool]:
    return RefreshToken.token_hash == security.fingerprint(refresh_token)
