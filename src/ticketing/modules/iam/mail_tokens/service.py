"""Emails with a single-use link: a request writes a row and a message; a consumer sends the email."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.db import new_id
from ticketing.infra.email_addresses import normalize_email
from ticketing.infra.errors import Conflict, TicketingError
from ticketing.modules.iam.mail_tokens.links import LinkInvalid
from ticketing.modules.iam.mail_tokens.models import MailToken, Purpose
from ticketing.modules.iam.messages import EmailVerificationRequested, EmailVerified
from ticketing.modules.iam.models import User
from ticketing.modules.iam.sessions.service import lock_user

VERIFICATION_LIFETIME = timedelta(hours=24)
#: Shortest interval between two emails of one kind to one user, so that the platform cannot be used to flood a mailbox.
EMAIL_INTERVAL = timedelta(minutes=1)
#: How long an expired link is kept, so that it can be diagnosed.
KEEP_EXPIRED = timedelta(days=1)
CLEAN_ROWS = 5000


class AlreadyVerified(Conflict):
    """Your e-mail address is verified already."""

    code = "already_verified"


class EmailSentRecently(TicketingError):
    """We sent you an e-mail less than a minute ago; please look there first."""

    status, code, retry_after_seconds = 429, "rate_limited", 60


async def request_verification(session: AsyncSession, user: User) -> None:
    """Request the verification email of a user."""
    token_id = await add_token(session, Purpose.VERIFY_EMAIL, user.email, VERIFICATION_LIFETIME, user.id)
    outbox.publish(session, EmailVerificationRequested(user_id=user.id, token_id=token_id))


async def request_verification_again(session: AsyncSession, user_id: UUID) -> None:
    """Request the verification email again, at most once per minute.

    Raises:
        AlreadyVerified: the address is verified.
        EmailSentRecently: the last email was requested less than a minute ago.
    """
    user = await lock_user(session, user_id)
    if user.email_verified_at is not None:
        raise AlreadyVerified
    if await was_mailed_recently(session, user.id, Purpose.VERIFY_EMAIL):
        raise EmailSentRecently
    await request_verification(session, user)


async def verify_email(session: AsyncSession, token_id: UUID) -> None:
    """Verify the address with a link. Using it again is not an error, because people follow links twice.

    Raises:
        LinkInvalid: it has expired, or the account has another address now.
    """
    user, token = await lock_token(session, token_id, Purpose.VERIFY_EMAIL)
    if token.used_at is None:
        await mark_used(session, token)
        await mark_verified(session, user)


async def mark_verified(session: AsyncSession, user: User) -> None:
    """Mark the address as verified: the user has a link that was mailed to it."""
    if user.email_verified_at is None:
        await session.execute(update(User).where(User.id == user.id).values(email_verified_at=func.now()))
        outbox.publish(session, EmailVerified(user_id=user.id))


async def mark_used(session: AsyncSession, token: MailToken) -> None:
    await session.execute(update(MailToken).where(MailToken.id == token.id).values(used_at=func.now()))


async def add_token(
    session: AsyncSession, purpose: Purpose, email: str, lifetime: timedelta, user_id: UUID | None
) -> UUID:
    """Insert the row behind a link and return its id."""
    token = MailToken(id=new_id(), user_id=user_id, purpose=purpose, email=email, expires_at=func.now() + lifetime)
    session.add(token)
    return token.id


async def find_token(session: AsyncSession, token_id: UUID) -> MailToken | None:
    """Return the row behind a usable link, locked; None when the link is used or expired, so no email is needed."""
    return await session.scalar(select(MailToken).where(MailToken.id == token_id, is_live()).with_for_update())


def is_live() -> ColumnElement[bool]:
    """Whether a link can still be used."""
    return (MailToken.expires_at > func.now()) & MailToken.used_at.is_(None)


async def lock_token(session: AsyncSession, token_id: UUID, purpose: Purpose) -> tuple[User, MailToken]:
    """Return user and row of a link, locked in this order, as everywhere. Includes used links.

    Raises:
        LinkInvalid: there is no such link, or it has expired.
    """
    owner = await session.scalar(select(MailToken.user_id).where(MailToken.id == token_id))
    if owner is None:
        raise LinkInvalid(field="token")
    user = await lock_user(session, owner)
    is_it = (MailToken.id == token_id) & (MailToken.purpose == purpose) & (MailToken.expires_at > func.now())
    query = select(MailToken).where(is_it).with_for_update().execution_options(populate_existing=True)
    token = await session.scalar(query)
    if token is None:
        raise LinkInvalid(field="token")
    is_theirs = normalize_email(token.email) == user.email_normalized
    if not is_theirs and purpose != Purpose.CONFIRM_RECIPIENT:
        raise LinkInvalid(field="token")
    return user, token


async def was_mailed_recently(session: AsyncSession, user_id: UUID, purpose: Purpose) -> bool:
    """Whether an email of this kind was requested within the last minute."""
    mine = (MailToken.user_id == user_id) & (MailToken.purpose == purpose)
    query = select(MailToken.id).where(mine, MailToken.created_at > func.now() - EMAIL_INTERVAL).limit(1)
    return await session.scalar(query) is not None


async def void_resets(session: AsyncSession, user_id: UUID) -> None:
    """Invalidate every password reset link of this user."""
    mine = (MailToken.user_id == user_id) & (MailToken.purpose == Purpose.RESET_PASSWORD)
    await session.execute(delete(MailToken).where(mine))


async def clean_tokens(session: AsyncSession) -> int:
    """Delete up to CLEAN_ROWS links that expired a day ago and return their number."""
    old = select(MailToken.id).where(MailToken.expires_at < func.now() - KEEP_EXPIRED).limit(CLEAN_ROWS)
    old = old.with_for_update(skip_locked=True)
    deleted = await session.scalars(delete(MailToken).where(MailToken.id.in_(old)).returning(MailToken.id))
    return len(deleted.all())
