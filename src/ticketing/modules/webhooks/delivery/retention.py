"""Deletes finished deliveries after their retention, and deleted endpoints once they have no deliveries left."""

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import statements

#: Deliveries deleted by one call.
CLEAN_ROWS = 5000

_DELETE_DELIVERIES = """
delete from webhook_deliveries where (organization_id, endpoint_id, message_id) in (
    select d.organization_id, d.endpoint_id, d.message_id from webhook_deliveries d
     where d.ended_at < now() - make_interval(days => %s)
     union all
    select d.organization_id, d.endpoint_id, d.message_id from webhook_endpoints e
      join webhook_deliveries d on d.organization_id = e.organization_id and d.endpoint_id = e.id
     where e.deleted_at is not null
     limit %s)"""

# The worker locks an endpoint while it writes deliveries for it: such an endpoint is skipped until the next call.
_DELETE_ENDPOINTS = """
delete from webhook_endpoints where id in (
    select e.id from webhook_endpoints e
     where e.deleted_at is not null and not exists (select from webhook_deliveries d
            where d.organization_id = e.organization_id and d.endpoint_id = e.id)
       for update skip locked)"""


async def clean_webhooks(session: AsyncSession, keep_days: int) -> int:
    """Delete a batch of deliveries that ended `keep_days` ago or whose endpoint is deleted; the number of rows."""
    deliveries = await statements.execute(session, _DELETE_DELIVERIES, keep_days, CLEAN_ROWS)
    endpoints = await statements.execute(session, _DELETE_ENDPOINTS)
    return deliveries.rowcount + endpoints.rowcount
