"""Every change publishes its message in the same transaction, and changes by staff are in the audit log."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2
from fastapi import FastAPI
from sqlalchemy import Select, func, select

from tests.sweeps.calls import organization, reads, sale  # noqa: F401 (imported to register the examples)
from tests.sweeps.calls.call import Call, build_call, examples_of, send
from tests.sweeps.full_tenant import FullTenant
from tests.sweeps.openapi.routes import STREAM, Route, all_routes, each_route
from ticketing.infra.db import statements
from ticketing.infra.outbox.models import OutboxRow
from ticketing.modules.organizations.models import AuditEntry
from ticketing.modules.tickets.models import CheckIn

EVENT = "/orgs/{org_id}/events/{event_id}"
WEBHOOKS = "/orgs/{org_id}/webhooks"
#: The topic that each change publishes; it may publish others as well.
TOPICS = {
    "POST /auth/register": "user.registered",
    "POST /auth/verify-email": "email.verified",
    "POST /me/verify-email": "email_verification.requested",
    "POST /auth/password-reset": "password_reset.requested",
    "POST /auth/password-reset/confirm": "user.password_changed",
    "DELETE /me/sessions": "session.ended",
    "DELETE /me/sessions/{session_id}": "session.ended",
    "POST /me/password": "user.password_changed",
    "POST /me/second-factor/confirm": "second_factor.enabled",
    "DELETE /me/second-factor": "second_factor.disabled",
    "POST /me/erase": "user.erased",
    "POST /auth/logout": "session.ended",
    "POST /orgs": "organization.created",
    "PATCH /orgs/{org_id}": "organization.updated",
    "POST /orgs/{org_id}/members": "member.invited",
    "POST /orgs/{org_id}/invitations": "member.invited",
    "DELETE /orgs/{org_id}/invitations/{invitation_id}": "invitation.ended",
    "POST /invitations/{token}/accept": "member.added",
    "POST /me/invitations/{invitation_id}/accept": "member.added",
    "DELETE /me/invitations/{invitation_id}": "invitation.ended",
    "PATCH /orgs/{org_id}/members/{user_id}": "member.role_changed",
    "DELETE /orgs/{org_id}/members/{user_id}": "member.removed",
    "POST /orgs/{org_id}/api-keys": "api_key.created",
    "DELETE /orgs/{org_id}/api-keys/{key_id}": "api_key.revoked",
    f"POST {WEBHOOKS}": "webhook.created",
    f"PATCH {WEBHOOKS}/{{webhook_id}}": "webhook.updated",
    f"DELETE {WEBHOOKS}/{{webhook_id}}": "webhook.deleted",
    f"POST {WEBHOOKS}/{{webhook_id}}/rotate-secret": "webhook.secret_rotated",
    "POST /orgs/{org_id}/venues": "venue.created",
    "POST /orgs/{org_id}/venues/import": "venue.created",
    "POST /orgs/{org_id}/venues/{venue_id}/plans": "venue.plan_created",
    "POST /orgs/{org_id}/venues/{venue_id}/plans/import": "venue.plan_created",
    "POST /orgs/{org_id}/events": "event.created",
    f"PATCH {EVENT}": "event.updated",
    f"POST {EVENT}/publish": "event.published",
    f"POST {EVENT}/cancel": "event.cancelled",
    f"POST {EVENT}/ticket-types": "ticket_type.created",
    f"POST {EVENT}/seats/sync": "seats.synced",
    f"POST {EVENT}/seats/block": "seats.blocked",
    f"POST {EVENT}/seats/unblock": "seats.unblocked",
    "POST /reservations": "reservation.created",
    "POST /reservations/{reservation_id}/extend": "reservation.extended",
    "DELETE /reservations/{reservation_id}": "reservation.cancelled",
    "POST /orders": "order.created",
    "POST /payments": "payment.created",
    "POST /checkout": "payment.created",
    "POST /payments/webhooks/{provider}": "payment.succeeded",
    "POST /tickets/{ticket_id}/transfer": "ticket.transferred",
    "POST /orders/{order_id}/refunds": "refund.requested",
    f"POST {EVENT}/devices": "device.made",
    f"DELETE {EVENT}/devices/{{device_id}}": "device.revoked",
    f"POST {EVENT}/check-ins": "ticket.checked_in",
    f"POST {EVENT}/check-ins/sync": "ticket.checked_in",
}
#: Changes without a message, with the reason.
WITHOUT_MESSAGE = {
    "POST /orgs/{org_id}/venues/import/preview": "a preview changes nothing",
    "POST /me/second-factor": "nothing is enabled before the first code confirms it",
    "POST /auth/login": "a login changes only the tokens of the user",
    "POST /auth/refresh": "the same",
    f"POST {WEBHOOKS}/{{webhook_id}}/test": "a test is for one endpoint, and a message would reach all of them",
    f"POST {WEBHOOKS}/{{webhook_id}}/deliveries/{{message_id}}/redeliver": "sends an earlier message again",
}
#: Changes by staff that have another record in place of an audit log entry.
RECORDED_ELSEWHERE = {
    f"POST {EVENT}/check-ins": "every scan is a row of check_ins, with who scanned it",
    f"POST {EVENT}/check-ins/sync": "the same",
}
#: A staff route that changes nothing.
PREVIEW = "POST /orgs/{org_id}/venues/import/preview"
STAFF_ROUTES = {"POST /orders/{order_id}/refunds", "POST /orgs"}


@dataclass(frozen=True)
class Effects:
    """The messages of a request, and the number of other rows that their transactions wrote."""

    topics: list[str]
    by_transaction: dict[str, int]
    rows: list[Any]


def _is_change(route: Route) -> bool:
    return route.method != "GET"


def test_every_change_has_a_topic_or_a_reason_to_have_none() -> None:
    changes = {name for name, route in all_routes().items() if _is_change(route)}
    assert changes == TOPICS.keys() | WITHOUT_MESSAGE.keys()


@each_route(_is_change)
async def test_a_change_and_its_message_are_one_transaction(
    app: FastAPI, client: httpx2.AsyncClient, tenant: FullTenant, route: Route
) -> None:
    for build in examples_of(route.name):
        effects = await _send_and_record(app, client, await build_call(build, tenant))
        if route.name in WITHOUT_MESSAGE:
            assert effects.topics == []
            continue
        assert TOPICS[route.name] in effects.topics
        steps = 2 if route.name == "POST /checkout" else 1  # an order, and its payment
        assert len(effects.by_transaction) == steps, "all messages of a request, or of its step, share a transaction"
        assert all(effects.by_transaction.values()), "the transaction of the change"
        for row in effects.rows:
            assert row.correlation_id == "sweep"
            assert row.payload["organization_id"] == (str(row.organization_id) if row.organization_id else None)


async def _send_and_record(app: FastAPI, client: httpx2.AsyncClient, call: Call) -> Effects:
    [[last]] = await _rows(app, select(func.coalesce(func.max(OutboxRow.id), 0)))
    response = await send(client, call, headers={"X-Correlation-ID": "sweep"})
    assert response.is_success, response.text[:500]
    rows = await _rows(app, select(OutboxRow.__table__).where(OutboxRow.id > last).order_by(OutboxRow.id))
    transactions = {row.xid: await _count_written(app, row.xid) for row in rows}
    return Effects([row.topic for row in rows], transactions, rows)


async def _rows(app: FastAPI, query: Select[Any]) -> list[Any]:
    async with app.state.worker_database.transaction() as session:
        return list((await session.execute(query)).all())


# Without the stored idempotent responses, which every request with a key writes.
_TABLES = """
select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = 'public' and c.relkind = 'r' and not c.relispartition
   and c.relname not in ('idempotency_keys', 'alembic_version')"""


async def _count_written(app: FastAPI, transaction: str) -> int:
    """The number of rows outside of the outbox whose current version this transaction wrote."""
    async with app.state.worker_database.transaction() as session:
        tables = [row[0] for row in await (await statements.execute(session, _TABLES)).fetchall()]
        counts = " union all ".join(f"select count(*) as n from {table} where xmin::text = %s" for table in tables)
        found = await statements.execute(
            session, f"select sum(n) from ({counts}) as counts", *[transaction] * len(tables)
        )
        [[total]] = await found.fetchall()
    return int(total)


def _is_staff_work(route: Route) -> bool:
    is_staff_route = route.name in STAFF_ROUTES or "org_id" in route.parameters("path")
    return _is_change(route) and is_staff_route and route.name != PREVIEW


@each_route(_is_staff_work)
async def test_changes_by_staff_are_in_the_audit_log(
    app: FastAPI, client: httpx2.AsyncClient, tenant: FullTenant, route: Route
) -> None:
    for build in examples_of(route.name):
        call = await build_call(build, tenant)
        mark = f"audited:{uuid4().hex}"
        response = await send(client, call, headers={"X-Correlation-ID": mark, "User-Agent": "Office\x07 9"})
        assert response.is_success
        entries = await _rows(app, select(AuditEntry.__table__).where(AuditEntry.correlation_id == mark))
        if route.name in RECORDED_ELSEWHERE:
            [scan] = await _rows(app, select(CheckIn.__table__).order_by(CheckIn.id.desc()).limit(1))
            assert call.caller
            assert scan.scanned_by == f"user:{call.caller.id}"
            assert entries == []
            continue
        assert call.caller
        [entry] = entries
        assert entry.actor == f"user:{call.caller.id}"
        assert (entry.address, entry.user_agent) == ("127.0.0.1", "Office 9")
        assert entry.before != entry.after
        assert await _is_newest_entry(tenant, str(entry.id)) or route.name == "POST /orgs"


async def _is_newest_entry(tenant: FullTenant, entry_id: str) -> bool:
    response = await tenant.admin.get(tenant.organization.path("/audit-log?limit=1"))
    [newest] = response.json()["data"]
    return bool(newest["id"] == entry_id)


@each_route(lambda route: not _is_change(route) and route.name != STREAM)
async def test_reads_publish_nothing(
    app: FastAPI, client: httpx2.AsyncClient, tenant: FullTenant, route: Route
) -> None:
    for build in examples_of(route.name):
        assert (await _send_and_record(app, client, await build_call(build, tenant))).topics == []
