"""Every change has its message, written by the transaction that made it; what staff changed is in the audit log."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2
from fastapi import FastAPI
from sqlalchemy import text

from tests.sweeps.calls import organization, reads, sale  # noqa: F401 (they register the examples)
from tests.sweeps.calls.call import Call, examples_of, make, send
from tests.sweeps.full_tenant import Stage
from tests.sweeps.openapi.routes import STREAM, Route, all_routes, each_route

EVENT = "/orgs/{org_id}/events/{event_id}"
WEBHOOKS = "/orgs/{org_id}/webhooks"
#: The topic that each change is told under, whatever else is told beside it.
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
    "POST /orgs/{org_id}/members": "member.added",
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
    "POST /payments/webhooks/{provider}": "payment.succeeded",
    "POST /tickets/{ticket_id}/transfer": "ticket.transferred",
    "POST /orders/{order_id}/refunds": "refund.requested",
    f"POST {EVENT}/devices": "device.made",
    f"DELETE {EVENT}/devices/{{device_id}}": "device.revoked",
    f"POST {EVENT}/check-ins": "ticket.checked_in",
    f"POST {EVENT}/check-ins/sync": "ticket.checked_in",
}
#: Changes that nobody needs to hear of.
UNTOLD = {
    "POST /me/second-factor": "nothing is switched on before a first code confirms it",
    "POST /auth/login": "a log-in changes nothing but the person's own tokens",
    "POST /auth/refresh": "the same",
    f"POST {WEBHOOKS}/{{webhook_id}}/test": "a test is for one endpoint; what would tell it to all would be no test",
    f"POST {WEBHOOKS}/{{webhook_id}}/deliveries/{{message_id}}/redeliver": "brings a fact again that was told before",
}
#: Work for a tenant that has its own record in place of a line in the audit log.
RECORDED_ELSEWHERE = {
    f"POST {EVENT}/check-ins": "every scan is a row of check_ins, with who scanned it",
    f"POST {EVENT}/check-ins/sync": "the same",
}
OFFICE = {"POST /orders/{order_id}/refunds", "POST /orgs"}


@dataclass(frozen=True)
class Told:
    """What a request has left in the log, and how many rows elsewhere its transactions wrote."""

    topics: list[str]
    by_transaction: dict[str, int]
    rows: list[Any]


def _is_change(route: Route) -> bool:
    return route.method != "GET"


def test_every_change_has_a_topic_or_a_reason_to_have_none() -> None:
    changes = {name for name, route in all_routes().items() if _is_change(route)}
    assert changes == TOPICS.keys() | UNTOLD.keys()


@each_route(_is_change)
async def test_a_change_and_its_message_are_one_transaction(
    app: FastAPI, client: httpx2.AsyncClient, stage: Stage, route: Route
) -> None:
    for maker in examples_of(route.name):
        told = await _drive(app, client, await make(maker, stage))
        if route.name in UNTOLD:
            assert told.topics == []
            continue
        assert TOPICS[route.name] in told.topics
        assert len(told.by_transaction) == 1, "all messages of a request are of one transaction"
        assert all(told.by_transaction.values()), "and it is the one that changed something"
        for row in told.rows:
            assert row.correlation_id == "sweep"
            assert row.payload["organization_id"] == (str(row.organization_id) if row.organization_id else None)


async def _drive(app: FastAPI, client: httpx2.AsyncClient, call: Call) -> Told:
    [[last]] = await _rows(app, "select coalesce(max(id), 0) from outbox")
    response = await send(client, call, headers={"X-Correlation-ID": "sweep"})
    assert response.is_success, response.text[:500]
    rows = await _rows(app, "select *, xid::text as tx from outbox where id > :last order by id", last=last)
    transactions = {row.tx: await _written_by(app, row.tx) for row in rows}
    return Told([row.topic for row in rows], transactions, rows)


async def _written_by(app: FastAPI, transaction: str) -> int:
    """The rows, outside of the outbox, whose present version this transaction wrote."""
    tables = [row[0] for row in await _rows(app, _TABLES)]
    count = " union all ".join(f"select count(*) as n from {t} where xmin::text = :tx" for t in tables)
    [[total]] = await _rows(app, f"select sum(n) from ({count}) as counts", tx=transaction)
    return int(total)


async def _rows(app: FastAPI, query: str, **values: Any) -> list[Any]:
    async with app.state.worker_database.transaction() as session:
        return list((await session.execute(text(query), values)).all())


# Without the remembered answers: they are written by whatever was asked.
_TABLES = """
select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = 'public' and c.relkind = 'r' and not c.relispartition
   and c.relname not in ('idempotency_keys', 'alembic_version')"""


def _is_office_work(route: Route) -> bool:
    return _is_change(route) and (route.name in OFFICE or "org_id" in route.parameters("path"))


@each_route(_is_office_work)
async def test_what_staff_changed_is_in_the_audit_log(
    app: FastAPI, client: httpx2.AsyncClient, stage: Stage, route: Route
) -> None:
    for maker in examples_of(route.name):
        call = await make(maker, stage)
        mark = f"audited:{uuid4().hex}"
        response = await send(client, call, headers={"X-Correlation-ID": mark, "User-Agent": "Office\x07 9"})
        assert response.is_success
        entries = await _rows(app, "select * from audit_log where correlation_id = :mark", mark=mark)
        if route.name in RECORDED_ELSEWHERE:
            [scan] = await _rows(app, "select * from check_ins order by id desc limit 1")
            assert call.by
            assert scan.scanned_by == f"user:{call.by.id}"
            assert entries == []
            continue
        assert call.by
        [entry] = entries
        assert entry.actor == f"user:{call.by.id}"
        assert (entry.address, entry.user_agent) == ("127.0.0.1", "Office 9")
        assert entry.before != entry.after
        assert await _reads_it(stage, str(entry.id)) or route.name == "POST /orgs"


async def _reads_it(stage: Stage, entry_id: str) -> bool:
    answer = await stage.admin.get(stage.tenant.path("/audit-log?limit=1"))
    [newest] = answer.json()["data"]
    return bool(newest["id"] == entry_id)


@each_route(lambda route: not _is_change(route) and route.name != STREAM)
async def test_reading_tells_nothing(app: FastAPI, client: httpx2.AsyncClient, stage: Stage, route: Route) -> None:
    for maker in examples_of(route.name):
        assert (await _drive(app, client, await make(maker, stage))).topics == []
