"""The log of deliveries is kept for some weeks, and deleted endpoints for as long as there is something of it."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

CLEAN_ROWS = 5000


async def clean_webhooks(session: AsyncSession, keep_days: int) -> int:
    """Forget deliveries that ended so long ago, and all of deleted endpoints; the number of rows, a batch at a time."""
    asked = {"days": keep_days, "limit": CLEAN_ROWS}
    deliveries = await session.execute(_DELIVERIES, asked)
    endpoints = await session.execute(_ENDPOINTS)
    return int(deliveries.rowcount + endpoints.rowcount)  # type: ignore[attr-defined]


_DELIVERIES = text("""
delete from webhook_deliveries where (organization_id, endpoint_id, message_id) in (
    select d.organization_id, d.endpoint_id, d.message_id from webhook_deliveries d
     where d.ended_at < now() - make_interval(days => :days)
     union all
    select d.organization_id, d.endpoint_id, d.message_id from webhook_endpoints e
      join webhook_deliveries d on d.organization_id = e.organization_id and d.endpoint_id = e.id
     where e.deleted_at is not null
     limit :limit)""")

# What a worker is writing for one just now is seen by the next run: the row is locked until then.
_ENDPOINTS = text("""
delete from webhook_endpoints where id in (
    select e.id from webhook_endpoints e
     where e.deleted_at is not null and not exists (select from webhook_deliveries d
            where d.organization_id = e.organization_id and d.endpoint_id = e.id)
       for update skip locked)""")
