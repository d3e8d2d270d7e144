"""Export and erasure of an account. The row stays, because orders refer to it."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.db import Database
from ticketing.infra.db.personal_data import Part, Rows
from ticketing.modules.iam.mail_tokens.models import ConfirmedRecipient, MailToken
from ticketing.modules.iam.messages import UserErased
from ticketing.modules.iam.models import EndReason, LogInSession, User
from ticketing.modules.iam.passwords import confirm_password
from ticketing.modules.iam.second_factor import service as second_factor
from ticketing.modules.iam.second_factor.models import SecondFactor
from ticketing.modules.iam.sessions.service import end_sessions, lock_user


def _account(user_id: UUID) -> Rows:
    return select(User.id, User.email, User.display_name, User.created_at, User.email_verified_at).where(
        User.id == user_id
    )


def _sessions(user_id: UUID) -> Rows:
    row = LogInSession
    columns = (row.id, row.created_at, row.last_used_at, row.user_agent, row.address, row.revoked_at, row.end_reason)
    return select(*columns).where(row.user_id == user_id).order_by(row.id)


def _emails(user_id: UUID) -> Rows:
    columns = (MailToken.id, MailToken.purpose, MailToken.email, MailToken.created_at, MailToken.used_at)
    return select(*columns).where(MailToken.user_id == user_id).order_by(MailToken.id)


def _second_factor(user_id: UUID) -> Rows:
    return select(SecondFactor.created_at, SecondFactor.confirmed_at).where(SecondFactor.user_id == user_id)


def _recipients(user_id: UUID) -> Rows:
    columns = (ConfirmedRecipient.email, ConfirmedRecipient.confirmed_at)
    return select(*columns).where(ConfirmedRecipient.user_id == user_id).order_by(ConfirmedRecipient.email)


PARTS = (
    Part("account", _account),
    Part("sessions", _sessions),
    Part("letters", _emails),
    Part("second_factor", _second_factor),
    Part("recipients", _recipients),
)


async def confirm_person(database: Database, user_id: UUID, password: str, code: str | None) -> None:
    """Verify password and count an attempt at the second factor, before an action that cannot be undone.

    Raises:
        WrongPassword, Overloaded, second_factor.TooManyAttempts.
    """
    await confirm_password(database, user_id, password)
    await second_factor.count_attempt(database, user_id, code)


async def erase_account(session: AsyncSession, user_id: UUID, code: str | None = None) -> None:
    """Remove all personal data from the account: it cannot log in, and its address is free for a new account.

    Other modules delete their data when they consume UserErased. Idempotent.

    Raises:
        second_factor.SecondFactorRequired, second_factor.SecondFactorWrong.
    """
    user = await lock_user(session, user_id)
    if user.erased_at is not None:
        return
    await second_factor.check(session, user, code)
    await second_factor.drop(session, user_id)
    await end_sessions(session, user_id, reason=EndReason.ACCOUNT_ERASED)
    # The rows stay until they expire: other processes learn from them that the access tokens are revoked.
    clients = update(LogInSession).where(LogInSession.user_id == user_id)
    await session.execute(clients.values(user_agent="", address=""))
    is_theirs = (MailToken.user_id == user_id) | (MailToken.email == user.email_normalized)
    await session.execute(delete(MailToken).where(is_theirs))
    recipient = ConfirmedRecipient
    is_theirs = (recipient.user_id == user_id) | (recipient.email == user.email_normalized)
    await session.execute(delete(recipient).where(is_theirs))
    await session.execute(update(User).where(User.id == user_id).values(**_erased(user_id)))
    outbox.publish(session, UserErased(user_id=user_id))


def _erased(user_id: UUID) -> dict[str, object]:
    # No valid address normalizes to this one, and no password matches an empty hash.
    return {
        "email": "",
        "email_normalized": f"erased:{user_id}",
        "display_name": None,
        "password_hash": "",
        "email_verified_at": None,
        "erased_at": func.now(),
    }


async def list_recently_erased(session: AsyncSession, hours: int) -> list[UUID]:
    """Return the users erased within this many hours."""
    is_recent = User.erased_at > func.now() - timedelta(hours=hours)
    return list(await session.scalars(select(User.id).where(is_recent).order_by(User.erased_at)))


def erased_users() -> Select[UUID]:
    """The ids of all users who were erased, as a subquery."""
    return select(User.id).where(User.erased_at.is_not(None))
