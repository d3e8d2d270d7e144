"""What an operator can do about people, at the command line and by no route of the API."""

from ticketing.infra import log
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.modules import iam


async def log_out(settings: Settings, url: str, email: str) -> str | None:
    """End all log-ins of a person; how many, as a sentence. None when nobody has an account with this address."""
    log.actor.set("operator")
    database = Database(settings, url=url)
    try:
        async with database.transaction() as session:
            user = await iam.find_user(session, email)
            if user is None:
                return None
            count = await iam.end_sessions(session, user.id, reason=iam.EndReason.ENDED_BY_OPERATOR)
            return f"{user.email} is logged out: {count} log-in{'' if count == 1 else 's'} ended."
    finally:
        await database.close()
