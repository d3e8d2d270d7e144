"""From the log to deliveries: one for each message that an endpoint wants, in the transaction that moves its cursor.

Endpoints read the log themselves, each by its own cursor, so a tenant without one costs the hot path nothing, and Kafka
or not makes no difference. A row that is locked is another process' to read for.
"""

from collections.abc import Sequence
from uuid import UUID

import orjson
from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import bus, crash_points, log
from ticketing.infra.db import Database
from ticketing.infra.outbox import UNREAD
from ticketing.modules.webhooks import tenant_log
from ticketing.modules.webhooks.delivery.deliveries import body_of
from ticketing.modules.webhooks.endpoints import disable_endpoint
from ticketing.modules.webhooks.models import WebhookEndpoint
from ticketing.modules.webhooks.tenant_log import Position, Reading

PAGE_ROWS = 500
#: Endpoints with news that are read for in one round.
ROUND_ENDPOINTS = 200
#: More than this waits for a receiver that does not take it: nothing is read for it until some of it has ended.
PENDING_MAX = 10_000
REST_SECONDS = 60
#: Who is further behind is disabled: what it is still to be told of is kept in the log, which others' disks pay for.
BEHIND_DAYS_MAX = 3

Key = Row[UUID, UUID]

_log = log.get_logger(__name__)
crash_points.register(
    "before_deliveries_commit", "webhook deliveries are written and the cursor moved, and nothing is committed"
)


async def fan_out(database: Database) -> int:
    """A page for each endpoint that has news, each in its own transaction; the number of endpoints with news."""
    async with database.transaction() as session:
        keys: Sequence[Key] = (await session.execute(_WITH_NEWS, {"limit": ROUND_ENDPOINTS})).all()
    for organization_id, endpoint_id in keys:
        try:
            async with database.transaction() as session:
                await read_for(session, organization_id, endpoint_id)
        except bus.OUTAGES:
            raise
        except Exception as error:  # whatever is wrong with one is not the others' fault; an alert tells how late it is
            _log.error("webhook_not_read_for", webhook_id=str(endpoint_id), exc_info=error)
    return len(keys)


async def read_for(session: AsyncSession, organization_id: UUID, endpoint_id: UUID) -> int:
    """Write the deliveries of one page and move the endpoint's cursor behind it; the number of rows read."""
    its = (WebhookEndpoint.organization_id == organization_id) & (WebhookEndpoint.id == endpoint_id)
    is_on = WebhookEndpoint.disabled_at.is_(None) & WebhookEndpoint.deleted_at.is_(None)
    query = select(WebhookEndpoint).where(its, is_on).with_for_update(skip_locked=True)
    endpoint = (await session.scalars(query)).one_or_none()
    if endpoint is None:
        return 0
    place = {"organization_id": organization_id, "endpoint_id": endpoint_id}
    if (await session.execute(_COUNT, {**place, "most": PENDING_MAX})).scalar_one() >= PENDING_MAX:
        if await session.scalar(_IS_DAYS_BEHIND, {**place, "days": BEHIND_DAYS_MAX}):
            await disable_endpoint(session, endpoint, f"its receiver is {BEHIND_DAYS_MAX} days behind")
        await session.execute(_REST, {**place, "seconds": REST_SECONDS})
        return 0
    position = Position(endpoint.window_from, endpoint.window_to, endpoint.last_id)
    page = await tenant_log.read(session, organization_id, position, endpoint.types, PAGE_ROWS)
    if page.rows:
        await session.execute(_WRITE, {**place, "rows": _as_json(page)})
    endpoint.window_from, endpoint.window_to, endpoint.last_id = (
        page.position.window_from,
        page.position.window_to,
        page.position.last_id,
    )
    await session.flush()
    crash_points.at("before_deliveries_commit")
    return len(page.rows)


def _as_json(page: Reading) -> str:
    rows = [
        {"message_id": row.message_id, "topic": row.topic, "body": body_of(row.topic, row.occurred_at, row.payload)}
        for row in page.rows
    ]
    return orjson.dumps(rows).decode()


_WITH_NEWS = text("""
select e.organization_id, e.id
  from webhook_endpoints e
 where e.disabled_at is null and e.deleted_at is null and (e.rests_until is null or e.rests_until < now())
   and (e.window_to is not null
        or exists (select from outbox o
                    where o.organization_id = e.organization_id and o.xid >= e.window_from
                      and o.xid < pg_snapshot_xmin(pg_current_snapshot())))
 order by random() limit :limit""")

_COUNT = text("""
select count(*) from (select from webhook_deliveries
                       where organization_id = :organization_id and endpoint_id = :endpoint_id and due_at is not null
                       limit :most) as waiting""")

_REST = text("""
update webhook_endpoints set rests_until = now() + make_interval(secs => :seconds)
 where organization_id = :organization_id and id = :endpoint_id""")

_IS_DAYS_BEHIND = text(f"""
select o.occurred_at < now() - make_interval(days => :days)
  from webhook_endpoints r join outbox o on o.organization_id = r.organization_id and {UNREAD}
 where r.organization_id = :organization_id and r.id = :endpoint_id
 order by o.xid, o.id limit 1""")  # noqa: S608 (a constant)

_WRITE = text("""
insert into webhook_deliveries (organization_id, endpoint_id, message_id, topic, body)
select :organization_id, :endpoint_id, r.message_id, r.topic, r.body
  from json_to_recordset(cast(:rows as json)) as r (message_id uuid, topic text, body text)
    on conflict do nothing""")
