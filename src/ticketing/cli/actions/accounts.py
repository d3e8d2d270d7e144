"""What operators can do to accounts from the command line, and through no route of the API."""

import asyncio
from collections.abc import Awaitable, Callable

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.cli.context import fail, operator_database_url
from ticketing.infra import log
from ticketing.infra.config import Settings, get_settings
from ticketing.infra.db import Database
from ticketing.infra.db.timeouts import LONG_STATEMENT_SECONDS
from ticketing.infra.http.fields import find_email
from ticketing.modules import iam, organizations

#: Changes an account, and returns a sentence about what changed.
Action = Callable[[AsyncSession, iam.User], Awaitable[str]]


def run(email: str, action: Action) -> None:
    """Apply the action to the account with this address, and print its sentence; end with status 1 if there is none."""
    settings = get_settings()
    sentence = asyncio.run(_apply(settings, operator_database_url(settings), email, action))
    if sentence is None:
        fail(f"no account has the address {email}", 1)
    typer.echo(sentence)


async def _apply(settings: Settings, url: str, email: str, action: Action) -> str | None:
    log.actor.set("operator")
    database = Database(settings, url=url, statement_seconds=LONG_STATEMENT_SECONDS)
    try:
        async with database.transaction() as session:
            user = await iam.find_user(session, find_email(email) or email)
            return None if user is None else await action(session, user)
    finally:
        await database.close()


async def log_out(session: AsyncSession, user: iam.User) -> str:
    """End all sessions of the account."""
    count = await iam.end_sessions(session, user.id, reason=iam.EndReason.ENDED_BY_OPERATOR)
    return f"{user.email} is logged out: {count} session{'' if count == 1 else 's'} ended."


async def grant_support(session: AsyncSession, user: iam.User) -> str:
    """Let the account read every organization."""
    is_new = await organizations.grant_support(session, user)
    return f"{user.email} {'can now' if is_new else 'could already'} read every organization."


async def revoke_support(session: AsyncSession, user: iam.User) -> str:
    """Withdraw the right to read every organization."""
    is_new = await organizations.revoke_support(session, user)
    return f"{user.email} {'is no longer' if is_new else 'was not'} support."
