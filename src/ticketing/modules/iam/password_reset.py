"""Password reset by email.

The consumer looks the account up: the request does the same work for every address, so that neither its response nor
its timing reveals whether an account exists.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.email_addresses import normalize_email
from ticketing.modules.iam.mail_tokens.models import MailToken, Purpose
from ticketing.modules.iam.mail_tokens.service import (
    add_token,
    find_token,
    lock_token,
    mark_verified,
    void_resets,
    was_mailed_recently,
)
from ticketing.modules.iam.messages import PasswordResetRequested
from ticketing.modules.iam.models import EndReason
from ticketing.modules.iam.queries import find_user
from ticketing.modules.iam.service import set_password
from ticketing.modules.iam.sessions.service import end_sessions, lock_user

#: Reset emails are read within minutes, and a mailbox that is compromised later must not open accounts.
RESET_LIFETIME = timedelta(minutes=30)


async def request_reset(session: AsyncSession, email: str) -> None:
    """Request a reset for an address that may not belong to any account."""
    # Normalized, so that an erasure of this account finds the row before the consumer has assigned it.
    address = normalize_email(email)
    token_id = await add_token(session, Purpose.RESET_PASSWORD, address, RESET_LIFETIME, None)
    outbox.publish(session, PasswordResetRequested(token_id=token_id))


async def open_reset(session: AsyncSession, token_id: UUID) -> MailToken | None:
    """Assign the request to the account with its address and invalidate older requests. Idempotent.

    Return None without an account, within a minute of the last email, or after the request has expired.
    """
    token = await find_token(session, token_id)
    if token is None or token.user_id is not None:
        return token
    found = await find_user(session, token.email)
    user = await lock_user(session, found.id) if found else None
    if user is None or await was_mailed_recently(session, user.id, Purpose.RESET_PASSWORD):
        await session.delete(token)
        return None
    await void_resets(session, user.id)
    # Mail to the address stored in the account, not to the spelling in the request.
    token.user_id, token.email = user.id, user.email
    return token


async def reset_password(session: AsyncSession, token_id: UUID, password_hash: str) -> None:
    """Set a new password with a link, end every session, and invalidate the link.

    Raises:
        LinkInvalid: it was used, replaced or has expired. The second of two concurrent requests waits, and gets this.
    """
    user, _ = await lock_token(session, token_id, Purpose.RESET_PASSWORD)
    await mark_verified(session, user)
    await set_password(session, user.id, password_hash)  # deletes this link and all others
    await end_sessions(session, user.id, reason=EndReason.PASSWORD_RESET)
