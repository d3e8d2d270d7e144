"""What an account holds of a person, and how it is emptied. The row stays, because orders refer to it."""

from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox, security
from ticketing.infra.db import Database
from ticketing.infra.errors import Invalid
from ticketing.infra.personal_data import Part, Rows
from ticketing.modules.iam.mail_tokens.models import MailToken
from ticketing.modules.iam.messages import UserErased
from ticketing.modules.iam.models import EndReason, LogInSession, User
from ticketing.modules.iam.queries import get_user
from ticketing.modules.iam.second_factor import service as second_factor
from ticketing.modules.iam.second_factor.models import SecondFactor
from ticketing.modules.iam.sessions.service import end_sessions, lock_person


class WrongPassword(Invalid):
    """This is not your password."""


def _account(user_id: UUID) -> Rows:
    return select(User.id, User.email, User.display_name, User.created_at, User.email_verified_at).where(
        User.id == user_id
    )


def _sessions(user_id: UUID) -> Rows:
    row = LogInSession
    columns = (row.id, row.created_at, row.last_used_at, row.user_agent, row.address, row.revoked_at, row.end_reason)
    return select(*columns).where(row.user_id == user_id).order_by(row.id)


def _letters(user_id: UUID) -> Rows:
    columns = (MailToken.id, MailToken.purpose, MailToken.email, MailToken.created_at, MailToken.used_at)
    return select(*columns).where(MailToken.user_id == user_id).order_by(MailToken.id)


def _second_factor(user_id: UUID) -> Rows:
    return select(SecondFactor.created_at, SecondFactor.confirmed_at).where(SecondFactor.user_id == user_id)


PARTS = (
    Part("account", _account),
    Part("sessions", _sessions),
    Part("letters", _letters),
    Part("second_factor", _second_factor),
)


async def confirm_password(database: Database, user_id: UUID, password: str) -> None:
    """That the person is at the keyboard, and not only their browser. Raises WrongPassword, Overloaded.

    No connection is held while argon2 is at work.
    """
    async with database.transaction() as session:
        user = await get_user(session, user_id)
    if not await security.verify_password(password, user.password_hash):
        raise WrongPassword(field="password")


async def confirm_person(database: Database, user_id: UUID, password: str, code: str | None) -> None:
    """The same before something that can't be undone: a try of the second factor is paid for as well.

    Raises:
        WrongPassword, Overloaded, second_factor.TooManyTries.
    """
    await confirm_password(database, user_id, password)
    await second_factor.count_try(database, user_id, code)


async def erase_account(session: AsyncSession, user_id: UUID, code: str | None = None) -> None:
    """Take the person out of the account: nobody can log in, and the address is free for a new one.

    What other modules hold is forgotten by whoever hears UserErased. Erasing twice is erasing once.

    Raises:
        second_factor.SecondFactorRequired, second_factor.SecondFactorWrong.
    """
    user = await lock_person(session, user_id)
    if user.erased_at is not None:
        return
    await second_factor.check(session, user, code)
    await second_factor.drop(session, user_id)
    await end_sessions(session, user_id, reason=EndReason.ACCOUNT_ERASED)
    # The rows stay until they run out: every process reads in them that the access tokens are worth nothing any more.
    seen = update(LogInSession).where(LogInSession.user_id == user_id)
    await session.execute(seen.values(user_agent="", address=""))
    is_theirs = (MailToken.user_id == user_id) | (MailToken.email == user.email_normalized)
    await session.execute(delete(MailToken).where(is_theirs))
    await second_factor.drop(session, user_id)
    await session.execute(update(User).where(User.id == user_id).values(**_nobody(user_id)))
    outbox.publish(session, UserErased(user_id=user_id))


def _nobody(user_id: UUID) -> dict[str, object]:
    # No address that anybody can send is like this one, and an empty hash is no password's.
    return {
        "email": "",
        "email_normalized": f"erased:{user_id}",
        "display_name": None,
        "password_hash": "",
        "email_verified_at": None,
        "erased_at": func.now(),
    }


async def list_lately_erased(session: AsyncSession, hours: int) -> list[UUID]:
    """Who was erased within so many hours."""
    is_late = User.erased_at > func.now() - func.make_interval(0, 0, 0, 0, hours)
    return list(await session.scalars(select(User.id).where(is_late).order_by(User.erased_at)))
