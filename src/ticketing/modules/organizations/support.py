"""Support agents: they may read every organization, change none, and leave an audit entry where they read."""

from uuid import UUID

from sqlalchemy import delete, exists, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.modules import iam
from ticketing.modules.organizations.audit import record
from ticketing.modules.organizations.messages import SupportGranted, SupportRevoked
from ticketing.modules.organizations.models import AuditEntry, SupportAgent
from ticketing.modules.organizations.permissions import Access

READ = "support.read"


async def grant_support(session: AsyncSession, user: iam.User) -> bool:
    """Let a user read every organization; False if it already could. For an operator's command only."""
    row = insert(SupportAgent).values(user_id=user.id).on_conflict_do_nothing().returning(SupportAgent.user_id)
    if await session.scalar(row) is None:
        return False
    outbox.publish(session, SupportGranted(user_id=user.id))
    return True


async def revoke_support(session: AsyncSession, user: iam.User) -> bool:
    """Revoke the right with the commit; False if the user did not have it."""
    row = delete(SupportAgent).where(SupportAgent.user_id == user.id).returning(SupportAgent.user_id)
    if await session.scalar(row) is None:
        return False
    outbox.publish(session, SupportRevoked(user_id=user.id))
    return True


async def is_support(session: AsyncSession, user_id: UUID) -> bool:
    """Whether a user is a support agent. Read for each request, so that a revocation takes effect at once."""
    return bool(await session.scalar(select(exists().where(SupportAgent.user_id == user_id))))


async def begin_reading(session: AsyncSession, access: Access) -> None:
    """Write an audit entry, at most once per hour, and make the rest of the transaction read-only."""
    # The requests of one page are concurrent: the second waits for the lock and then finds the entry of the first.
    lock_name = f"{READ} {access.actor} {access.organization_id}"
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(lock_name, 0))))
    is_known = (AuditEntry.organization_id == access.organization_id) & (AuditEntry.actor == access.actor)
    is_recent = (AuditEntry.action == READ) & (AuditEntry.created_at > func.now() - text("interval '1 hour'"))
    if not await session.scalar(select(exists().where(is_known, is_recent))):
        record(session, access, READ, f"organization:{access.organization_id}", None, None)
        await session.flush()
    await session.execute(text("set transaction read only"))
