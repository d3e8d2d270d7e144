"""The platform's support reads every organization, changes none, and leaves a trace in each that it reads."""

from uuid import UUID

from sqlalchemy import delete, exists, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.modules import iam
from ticketing.modules.organizations.audit import record
from ticketing.modules.organizations.messages import SupportGranted, SupportRevoked
from ticketing.modules.organizations.models import AuditEntry, SupportPerson
from ticketing.modules.organizations.permissions import Access

READ = "support.read"


async def grant_support(session: AsyncSession, user: iam.User) -> bool:
    """Let this person read every organization; False when they could. For an operator's command only."""
    row = insert(SupportPerson).values(user_id=user.id).on_conflict_do_nothing().returning(SupportPerson.user_id)
    if await session.scalar(row) is None:
        return False
    outbox.publish(session, SupportGranted(user_id=user.id))
    return True


async def revoke_support(session: AsyncSession, user: iam.User) -> bool:
    """From the commit on, this person is a stranger again where they are no member; False when they were that."""
    row = delete(SupportPerson).where(SupportPerson.user_id == user.id).returning(SupportPerson.user_id)
    if await session.scalar(row) is None:
        return False
    outbox.publish(session, SupportRevoked(user_id=user.id))
    return True


async def is_support(session: AsyncSession, user_id: UUID) -> bool:
    """Asked anew with each request: who is no longer support stops reading at once."""
    return bool(await session.scalar(select(exists().where(SupportPerson.user_id == user_id))))


async def begin_reading(session: AsyncSession, access: Access) -> None:
    """Note the visit, once an hour, and make the rest of the transaction read only: the database refuses a change."""
    # Two requests of one page come at once: the second waits, and then finds the first one's entry.
    await session.execute(_TURN, {"visit": f"{READ} {access.actor} {access.organization_id}"})
    is_known = (AuditEntry.organization_id == access.organization_id) & (AuditEntry.actor == access.actor)
    is_recent = (AuditEntry.action == READ) & (AuditEntry.created_at > func.now() - text("interval '1 hour'"))
    if not await session.scalar(select(exists().where(is_known, is_recent))):
        record(session, access, READ, f"organization:{access.organization_id}", None, None)
        await session.flush()
    await session.execute(text("set transaction read only"))


_TURN = text("select pg_advisory_xact_lock(hashtextextended(:visit, 0))")
