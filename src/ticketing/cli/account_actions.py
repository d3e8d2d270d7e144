"""What an operator can do about people, at the command line and by no route of the API."""

from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import log
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.db.timeouts import LONG_STATEMENT_SECONDS
from ticketing.modules import iam, organizations

Act = Callable[[AsyncSession, iam.User], Awaitable[str]]


async def log_out(session: AsyncSession, user: iam.User) -> str:
    """End all log-ins of a person; how many, as a sentence."""
    count = await iam.end_sessions(session, user.id, reason=iam.EndReason.ENDED_BY_OPERATOR)
    return f"{user.email} is logged out: {count} log-in{'' if count == 1 else 's'} ended."


async def grant_support(session: AsyncSession, user: iam.User) -> str:
    """Let a person read every organization; what that changed, as a sentence."""
    is_new = await organizations.grant_support(session, user)
    return f"{user.email} reads every organization {'now' if is_new else 'already'}."


async def revoke_support(session: AsyncSession, user: iam.User) -> str:
    """Take that back; what it changed, as a sentence."""
    is_new = await organizations.revoke_support(session, user)
    return f"{user.email} {'is no longer' if is_new else 'was not'} support."


async def act_on(settings: Settings, url: str, email: str, act: Act) -> str | None:
    """Do one of these about the person with this address; None when nobody has an account with it."""
    log.actor.set("operator")
    database = Database(settings, url=url, statement_seconds=LONG_STATEMENT_SECONDS)
    try:
        async with database.transaction() as session:
            user = await iam.find_user(session, email)
            return None if user is None else await act(session, user)
    finally:
        await database.close()
