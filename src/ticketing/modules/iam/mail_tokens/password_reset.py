"""A forgotten password, by letter.

Whether anybody has the address is found out by the consumer: the request does the same work for every address, so that
neither its answer nor its time tells a stranger who has an account.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.modules.iam.mail_tokens.models import MailToken, Purpose
from ticketing.modules.iam.mail_tokens.service import (
    add_token,
    find_token,
    lock_token,
    mark_verified,
    void_resets,
    was_mailed_lately,
)
from ticketing.modules.iam.messages import PasswordResetRequested
from ticketing.modules.iam.models import EndReason
from ticketing.modules.iam.queries import find_user
from ticketing.modules.iam.service import set_password
from ticketing.modules.iam.sessions.service import end_sessions, lock_person

#: Such a letter is read within minutes or not at all, and a mailbox that is broken into later must open nothing else.
RESET_LASTS = timedelta(minutes=30)


async def request_reset(session: AsyncSession, email: str) -> None:
    """Somebody says that they have forgotten the password of this address, which may be nobody's."""
    token_id = await add_token(session, Purpose.RESET_PASSWORD, email, RESET_LASTS, None)
    outbox.publish(session, PasswordResetRequested(token_id=token_id))


async def open_reset(session: AsyncSession, token_id: UUID) -> MailToken | None:
    """Give the request to whoever has the address, in place of older ones; the same again when asked again.

    None when there is nobody to write to, when a letter went out within the last minute, or when it is too late.
    """
    token = await find_token(session, token_id)
    if token is None or token.user_id is not None:
        return token
    found = await find_user(session, token.email)
    user = await lock_person(session, found.id) if found else None
    if user is None or await was_mailed_lately(session, user.id, Purpose.RESET_PASSWORD):
        await session.delete(token)
        return None
    await void_resets(session, user.id)
    # To the address that the person gave us, never to the spelling that a stranger has typed.
    token.user_id, token.email = user.id, user.email
    return token


async def reset_password(session: AsyncSession, token_id: UUID, password_hash: str) -> None:
    """The link came back with a new password: it is set, every log-in ends, and the link is spent.

    Raises:
        LinkInvalid: it was used, replaced, or has run out. Of two at the same moment the second waits, and gets this.
    """
    user, _ = await lock_token(session, token_id, Purpose.RESET_PASSWORD)
    await mark_verified(session, user)
    await set_password(session, user.id, password_hash)  # which takes this link away, with all others
    await end_sessions(session, user.id, reason=EndReason.PASSWORD_RESET)
