"""The audit log: actor, change and client address, written in the transaction of the change."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import log
from ticketing.modules.organizations.models import AuditEntry
from ticketing.modules.organizations.permissions import Access


def record(
    session: AsyncSession,
    access: Access,
    action: str,
    subject: str,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> None:
    """Append an entry, such as `member.added`, `user:<id>`. Ids instead of names, because entries cannot be erased."""
    session.add(
        AuditEntry(
            organization_id=access.organization_id,
            actor=access.actor,
            action=action,
            subject=subject,
            before=before,
            after=after,
            correlation_id=log.correlation_id.get(),
            address=log.client_address.get() or None,
            user_agent=log.user_agent.get() or None,
        )
    )
