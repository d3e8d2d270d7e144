"""The audit log: actor, change and client address, written in the transaction of the change."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import log
from ticketing.infra.db import new_id, statements
from ticketing.modules.organizations.models import AuditEntry
from ticketing.modules.organizations.permissions import Access

_APPEND = """
insert into audit_log (id, organization_id, actor, action, subject, before, after, correlation_id, address, user_agent)
select id, %s::uuid, actor, action, subject, before, after, correlation_id, address, user_agent
  from json_to_recordset(%s::json) as w (id uuid, actor text, action text, subject text, before jsonb, after jsonb,
                                         correlation_id text, address text, user_agent text)"""
#: Entries per transaction.
CLEAN_ROWS = 1000


def record(
    session: AsyncSession,
    access: Access,
    action: str,
    subject: str,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> None:
    """Append an entry, such as `member.added`, `user:<id>`. Ids instead of names, because entries cannot be erased."""
    record_by(session, access.organization_id, access.actor, action, subject, before, after)


def record_by(
    session: AsyncSession,
    organization_id: UUID,
    actor: str,
    action: str,
    subject: str,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> None:
    """Append an entry about a change by an actor without access, such as `provider:mock`."""
    entry = {
        "id": new_id(),
        "actor": actor,
        "action": action,
        "subject": subject,
        "before": before,
        "after": after,
        "correlation_id": log.correlation_id.get(),
        "address": log.client_address.get() or None,
        "user_agent": log.user_agent.get() or None,
    }
    if not statements.defer_row(session, _APPEND, organization_id, entry):
        session.add(AuditEntry(organization_id=organization_id, **entry))


async def clean_audit_log(session: AsyncSession, days: int) -> int:
    """Delete a batch of entries that are `days` old; their number. The database refuses fewer than 365 days."""
    is_old = AuditEntry.created_at < func.now() - timedelta(days=days)
    old = select(AuditEntry.id).where(is_old).order_by(AuditEntry.created_at).limit(CLEAN_ROWS)
    rows = delete(AuditEntry).where(AuditEntry.id.in_(old.with_for_update(skip_locked=True)))
    deleted = await session.execute(rows, execution_options={"synchronize_session": False})
    return int(deleted.rowcount)  # type: ignore[attr-defined]
