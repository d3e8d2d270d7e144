"""Letters with a link: asked for in a request's transaction, which writes a row and a fact; a consumer posts them."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.db import new_id
from ticketing.infra.errors import Conflict, TicketingError
from ticketing.modules.iam.mail_tokens.links import LinkInvalid
from ticketing.modules.iam.mail_tokens.models import MailToken, Purpose
from ticketing.modules.iam.messages import EmailVerificationRequested, EmailVerified
from ticketing.modules.iam.models import User
from ticketing.modules.iam.queries import normalize_email
from ticketing.modules.iam.sessions.service import lock_person

VERIFICATION_LASTS = timedelta(hours=24)
#: Between two letters of one kind to one person, so that nobody can fill somebody's mailbox through us.
QUIET = timedelta(minutes=1)
#: How long a link that has run out is kept: for whoever wants to know why it did not work.
KEPT_FOR = timedelta(days=1)
CLEAN_ROWS = 5000


class AlreadyVerified(Conflict):
    """Your e-mail address is verified already."""

    code = "already_verified"


class LetterUnderWay(TicketingError):
    """We sent you a letter less than a minute ago; please look there first."""

    status, code, retry_after_seconds = 429, "rate_limited", 60


async def request_verification(session: AsyncSession, user: User) -> None:
    """A letter to this person's address, with a link that proves that they read what comes there."""
    token_id = await add_token(session, Purpose.VERIFY_EMAIL, user.email, VERIFICATION_LASTS, user.id)
    outbox.publish(session, EmailVerificationRequested(user_id=user.id, token_id=token_id))


async def request_verification_again(session: AsyncSession, user_id: UUID) -> None:
    """The same once more, at most once a minute.

    Raises:
        AlreadyVerified: there is nothing left to prove.
        LetterUnderWay: the last one is too young.
    """
    user = await lock_person(session, user_id)
    if user.email_verified_at is not None:
        raise AlreadyVerified
    if await was_mailed_lately(session, user.id, Purpose.VERIFY_EMAIL):
        raise LetterUnderWay
    await request_verification(session, user)


async def verify_email(session: AsyncSession, token_id: UUID) -> None:
    """The link came back. Once more is no error: people press links twice, and it proves nothing new.

    Raises:
        LinkInvalid: it has run out, or the account has another address now.
    """
    user, token = await lock_token(session, token_id, Purpose.VERIFY_EMAIL)
    if token.used_at is None:
        await mark_used(session, token)
        await mark_verified(session, user)


async def mark_verified(session: AsyncSession, user: User) -> None:
    """Whoever has a link that was mailed to this person's address reads what comes there."""
    if user.email_verified_at is None:
        await session.execute(update(User).where(User.id == user.id).values(email_verified_at=func.now()))
        outbox.publish(session, EmailVerified(user_id=user.id))


async def mark_used(session: AsyncSession, token: MailToken) -> None:
    await session.execute(update(MailToken).where(MailToken.id == token.id).values(used_at=func.now()))


async def add_token(
    session: AsyncSession, purpose: Purpose, email: str, lasts: timedelta, user_id: UUID | None
) -> UUID:
    """The row behind a link; returns its id."""
    token = MailToken(id=new_id(), user_id=user_id, purpose=purpose, email=email, expires_at=func.now() + lasts)
    session.add(token)
    return token.id


async def find_token(session: AsyncSession, token_id: UUID) -> MailToken | None:
    """The row, locked, behind a link that may still be used; None when that is over, and no letter need be sent."""
    is_live = (MailToken.expires_at > func.now()) & MailToken.used_at.is_(None)
    return await session.scalar(select(MailToken).where(MailToken.id == token_id, is_live).with_for_update())


async def lock_token(session: AsyncSession, token_id: UUID, purpose: Purpose) -> tuple[User, MailToken]:
    """The person and the row behind a link of theirs, locked in this order, as everywhere; used ones too.

    Raises:
        LinkInvalid: there is none, or it has run out.
    """
    owner = await session.scalar(select(MailToken.user_id).where(MailToken.id == token_id))
    if owner is None:
        raise LinkInvalid(field="token")
    user = await lock_person(session, owner)
    is_live = (MailToken.purpose == purpose) & (MailToken.expires_at > func.now())
    query = select(MailToken).where(MailToken.id == token_id, is_live).with_for_update()
    token = await session.scalar(query.execution_options(populate_existing=True))
    if token is None or normalize_email(token.email) != user.email_normalized:
        raise LinkInvalid(field="token")
    return user, token


async def was_mailed_lately(session: AsyncSession, user_id: UUID, purpose: Purpose) -> bool:
    """Whether a letter of this kind was asked for within the last minute."""
    mine = (MailToken.user_id == user_id) & (MailToken.purpose == purpose)
    query = select(MailToken.id).where(mine, MailToken.created_at > func.now() - QUIET).limit(1)
    return await session.scalar(query) is not None


async def void_resets(session: AsyncSession, user_id: UUID) -> None:
    """No link to a new password that this person was sent until now is good any more."""
    mine = (MailToken.user_id == user_id) & (MailToken.purpose == Purpose.RESET_PASSWORD)
    await session.execute(delete(MailToken).where(mine))


async def clean_tokens(session: AsyncSession) -> int:
    """Forget links that ran out a day ago, some at a time; the number of them."""
    old = select(MailToken.id).where(MailToken.expires_at < func.now() - KEPT_FOR).limit(CLEAN_ROWS)
    forgotten = await session.scalars(delete(MailToken).where(MailToken.id.in_(old)).returning(MailToken.id))
    return len(forgotten.all())
