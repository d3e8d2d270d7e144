"""Fan-out from the log: one delivery per message and endpoint, in the transaction that moves the endpoint's cursor.

Each endpoint reads the log by its own cursor. A tenant without endpoints therefore costs the hot path nothing, and the
fan-out is the same with and without Kafka. An endpoint whose row is locked is being read by another process.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import bus, crash_points, log
from ticketing.infra.db import Database, statements
from ticketing.infra.db.pipeline import rows
from ticketing.infra.outbox import UNREAD
from ticketing.modules.webhooks import tenant_log
from ticketing.modules.webhooks.delivery.deliveries import body_of
from ticketing.modules.webhooks.endpoints import disable_endpoint
from ticketing.modules.webhooks.models import WebhookDelivery, WebhookEndpoint
from ticketing.modules.webhooks.tenant_log import LogPage, Position

PAGE_ROWS = 500
#: Endpoints with new messages that one call of `fan_out` reads for.
FAN_OUT_ENDPOINTS = 200
#: With this many pending deliveries an endpoint rests: nothing is read for it until some of them have ended.
PENDING_MAX = 10_000
REST_SECONDS = 60
#: A resting endpoint that is further behind is disabled: the log is retained for it on disks that all tenants share.
BEHIND_DAYS_MAX = 3

_log = log.get_logger(__name__)
crash_points.register(
    "before_deliveries_commit", "webhook deliveries are written and the cursor moved, and nothing is committed"
)

_ENDPOINTS_WITH_MESSAGES = """
select e.organization_id, e.id
  from webhook_endpoints e
 where e.disabled_at is null and e.deleted_at is null and (e.rests_until is null or e.rests_until < now())
   and (e.window_to is not null
        or exists (select from outbox o
                    where o.organization_id = e.organization_id and o.xid >= e.window_from
                      and o.xid < log_position(pg_snapshot_xmin(pg_current_snapshot()))))
 order by random() limit %s"""

_IS_DAYS_BEHIND = f"""
select o.occurred_at < now() - make_interval(days => %s)
  from webhook_endpoints r join outbox o on o.organization_id = r.organization_id and {UNREAD}
 where r.organization_id = %s and r.id = %s
 order by o.xid, o.id limit 1"""  # noqa: S608 (only constants)

_INSERT_DELIVERIES = """
insert into webhook_deliveries (organization_id, endpoint_id, message_id, topic, body)
select %s, %s, r.message_id, r.topic, r.body
  from json_to_recordset(%s::json) as r (message_id uuid, topic text, body text)
    on conflict do nothing"""


async def fan_out(database: Database) -> int:
    """Read a page for each endpoint with new messages, each in its own transaction; the number of such endpoints."""
    async with database.transaction() as session:
        found = await statements.execute(session, _ENDPOINTS_WITH_MESSAGES, FAN_OUT_ENDPOINTS)
        keys: Sequence[tuple[UUID, UUID]] = await found.fetchall()
    for organization_id, endpoint_id in keys:
        try:
            async with database.transaction() as session:
                await fan_out_page(session, organization_id, endpoint_id)
        except bus.OUTAGES:
            raise
        except Exception as error:  # an error of one endpoint must not delay the others; an alert reports its lag
            _log.error("webhook_not_read_for", webhook_id=str(endpoint_id), exc_info=error)
    return len(keys)


async def fan_out_page(session: AsyncSession, organization_id: UUID, endpoint_id: UUID) -> int:
    """Insert the deliveries of one page and move the endpoint's cursor past it; the number of rows read."""
    its = (WebhookEndpoint.organization_id == organization_id) & (WebhookEndpoint.id == endpoint_id)
    is_on = WebhookEndpoint.disabled_at.is_(None) & WebhookEndpoint.deleted_at.is_(None)
    query = select(WebhookEndpoint).where(its, is_on).with_for_update(skip_locked=True)
    endpoint = (await session.scalars(query)).one_or_none()
    if endpoint is None:
        return 0
    if await _is_backlog_full(session, endpoint):
        await _rest(session, endpoint)
        return 0
    position = Position(endpoint.window_from, endpoint.window_to, endpoint.last_id)
    page = await tenant_log.read_page(session, organization_id, position, endpoint.types, PAGE_ROWS)
    if page.rows:
        await statements.execute(session, _INSERT_DELIVERIES, organization_id, endpoint_id, _as_json(page))
    endpoint.window_from, endpoint.window_to, endpoint.last_id = (
        page.position.window_from,
        page.position.window_to,
        page.position.last_id,
    )
    await session.flush()
    crash_points.at("before_deliveries_commit")
    return len(page.rows)


async def _is_backlog_full(session: AsyncSession, endpoint: WebhookEndpoint) -> bool:
    its = WebhookDelivery.organization_id == endpoint.organization_id, WebhookDelivery.endpoint_id == endpoint.id
    pending = select(literal(1)).where(*its, WebhookDelivery.due_at.is_not(None)).limit(PENDING_MAX)
    count = select(func.count()).select_from(pending.subquery())
    return (await session.execute(count)).scalar_one() >= PENDING_MAX


async def _rest(session: AsyncSession, endpoint: WebhookEndpoint) -> None:
    """Read nothing for this endpoint for REST_SECONDS, and disable it if it is days behind."""
    found = await statements.execute(session, _IS_DAYS_BEHIND, BEHIND_DAYS_MAX, endpoint.organization_id, endpoint.id)
    oldest = await found.fetchone()
    if oldest is not None and oldest[0]:
        await disable_endpoint(session, endpoint, f"its receiver is {BEHIND_DAYS_MAX} days behind")
    endpoint.rests_until = func.now() + timedelta(seconds=REST_SECONDS)


def _as_json(page: LogPage) -> str:
    return rows(
        [
            {"message_id": row.message_id, "topic": row.topic, "body": body_of(row.topic, row.occurred_at, row.payload)}
            for row in page.rows
        ]
    )
