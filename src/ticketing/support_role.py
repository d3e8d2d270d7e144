"""Gives and takes the platform's support role: by an operator at the command line, and by nobody over the API."""

from ticketing.infra import log
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.modules import iam, organizations


async def change(settings: Settings, url: str, email: str, *, is_granted: bool) -> str | None:
    """What was done, as a sentence; None when nobody has an account with this address."""
    log.actor.set("operator")
    database = Database(settings, url=url)
    try:
        async with database.transaction() as session:
            user = await iam.find_user(session, email)
            if user is None:
                return None
            act = organizations.grant_support if is_granted else organizations.revoke_support
            return _sentence(user.email, is_granted=is_granted, is_new=await act(session, user))
    finally:
        await database.close()


def _sentence(email: str, *, is_granted: bool, is_new: bool) -> str:
    if is_granted:
        return f"{email} reads every organization {'now' if is_new else 'already'}."
    return f"{email} {'is no longer' if is_new else 'was not'} support."
