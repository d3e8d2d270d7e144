"""Recipients of a person's order emails: an address gets no content of a stranger's choice before it is confirmed.

An order can be made for any address. Its owner first gets one email of fixed text with a link; the tickets follow when
the link is used, then and for later orders of the same buyer. The buyer's own address is confirmed by verifying it.
"""

from datetime import timedelta
from uuid import UUID, uuid5

from sqlalchemy import exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.email_addresses import normalize_email
from ticketing.modules.iam.mail_tokens.models import ConfirmedRecipient, MailToken, Purpose
from ticketing.modules.iam.mail_tokens.service import is_live, lock_token, mark_used, mark_verified
from ticketing.modules.iam.messages import RecipientConfirmed
from ticketing.modules.iam.queries import get_user
from ticketing.modules.iam.sessions.service import lock_user

#: Also how long an address that does not react gets no second email.
CONFIRMATION_LIFETIME = timedelta(days=30)


async def is_own_address(session: AsyncSession, user_id: UUID, email: str) -> bool:
    """Whether this is the verified address of the person's account."""
    user = await get_user(session, user_id)
    return user.email_verified_at is not None and user.email_normalized == normalize_email(email)


async def is_recipient(session: AsyncSession, user_id: UUID, email: str) -> bool:
    """Whether emails about this person's orders may have content at this address: it is their own, or confirmed."""
    if await is_own_address(session, user_id, email):
        return True
    is_it = (ConfirmedRecipient.user_id == user_id) & (ConfirmedRecipient.email == normalize_email(email))
    return bool(await session.scalar(select(exists().where(is_it))))


async def open_confirmation(session: AsyncSession, user_id: UUID, email: str, order_id: UUID) -> MailToken | None:
    """Return the link by which this address is confirmed, once per address and buyer; idempotent per order.

    Return None when the address has been asked already: by the link of an earlier order, or by the verification of the
    buyer's account.
    """
    user, address, token_id = await lock_user(session, user_id), normalize_email(email), uuid5(order_id, "recipient")
    purposes = [Purpose.CONFIRM_RECIPIENT]
    if address == user.email_normalized:
        purposes.append(Purpose.VERIFY_EMAIL)
    is_theirs = (MailToken.user_id == user_id) & MailToken.purpose.in_(purposes)
    for asked in await session.scalars(select(MailToken).where(is_theirs, is_live())):
        if normalize_email(asked.email) == address:
            return asked if asked.id == token_id else None
    token = MailToken(id=token_id, user_id=user_id, purpose=Purpose.CONFIRM_RECIPIENT, email=address)
    token.expires_at = func.now() + CONFIRMATION_LIFETIME
    session.add(token)
    return token


async def confirm_recipient(session: AsyncSession, token_id: UUID) -> None:
    """Confirm an address with a link. Using it again is not an error, because people follow links twice.

    Raises:
        LinkInvalid: it has expired.
    """
    user, token = await lock_token(session, token_id, Purpose.CONFIRM_RECIPIENT)
    if token.used_at is not None:
        return
    await mark_used(session, token)
    if token.email == user.email_normalized:
        await mark_verified(session, user)
        return
    row = insert(ConfirmedRecipient).values(user_id=user.id, email=token.email)
    await session.execute(row.on_conflict_do_nothing())
    outbox.publish(session, RecipientConfirmed(user_id=user.id, token_id=token.id))


async def get_recipient(session: AsyncSession, token_id: UUID) -> str | None:
    """Return the address that was confirmed with this link; None after an erasure."""
    return await session.scalar(select(MailToken.email).where(MailToken.id == token_id))
