"""Rows whose retention is over are deleted in short batches; younger ones and those that others refer to stay."""

import asyncio
import re
import time
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.modules.payments.purchases import rows, run
from tests.modules.tickets.ticket_sale import sell_tickets
from tests.support.world import Show, World, data
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.workers.cleaning import JOBS as CLEANING_JOBS
from ticketing.workers.scheduler import JOBS, run_job

OPERATIONS = Path(__file__).parents[2] / "docs/operations.md"
#: Twenty batches.
BACKLOG = 20_000


async def clean(app: FastAPI, name: str, **settings: int) -> int:
    chosen = app.state.get(Settings).model_copy(update=settings)
    return await run_job(name, JOBS[name][0], chosen, app.state.worker_database)


async def end(app: FastAPI, reservation_id: str, days: float) -> None:
    """Let the sweep expire a reservation, and move its end back by some days."""
    await run(app, "update event_seats set held_until = now() - interval '1 s' where held_until is not null")
    await run(app, "update reservations set expires_at = now() - interval '1 s' where status = 'active'")
    await clean(app, "expire_reservations")
    change = "update reservations set ended_at = now() - make_interval(hours => :hours) where id = :id"
    await run(app, change, hours=24 * days, id=reservation_id)


async def count(app: FastAPI, table: str) -> int:
    return int((await rows(app, f"select count(*) from {table}"))[0][0])


async def test_expired_and_cancelled_reservations_are_deleted_after_their_retention(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(rows=1, seats=4), await world.person()
    old, young, cancelled, sold = [(await world.hold(buyer, show, label))["id"] for label in show.labels]
    data(await buyer.delete(f"/reservations/{cancelled}"))
    await run(app, "update reservations set status = 'confirmed' where id = :id", id=sold)
    await run(app, "update reservation_items set is_confirmed = true where reservation_id = :id", id=sold)
    await end(app, old, 31)
    await run(app, "update reservations set ended_at = now() - interval '29 days' where id = :id", id=young)
    for gone in (cancelled, sold):
        await run(app, "update reservations set ended_at = now() - interval '31 days' where id = :id", id=gone)
    assert await clean(app, "clean_reservations") == 2
    assert {str(row.id) for row in await rows(app, "select id from reservations")} == {young, sold}
    assert {str(row[0]) for row in await rows(app, "select reservation_id from reservation_items")} == {young, sold}


async def test_a_reservation_with_an_order_stays_with_it_and_can_be_paid_late(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(rows=1, seats=2), await world.person()
    hold = await world.hold(buyer, show, show.labels[0])
    order = await world.order(buyer, hold)
    payment = await world.payment(buyer, order)
    await end(app, hold["id"], 400)
    assert await clean(app, "clean_reservations") == 1, "it is examined"
    assert await clean(app, "clean_reservations") == 0, "and never again"
    data(await world.webhook("payment.succeeded", payment))
    assert data(await buyer.get(f"/orders/{order['id']}"))["status"] == "paid"


async def seed_ended(app: FastAPI, show: Show, buyer_id: str) -> None:
    """A backlog of expired reservations with two items each."""
    await run(
        app,
        """
        with r as (
            insert into reservations (id, organization_id, event_id, user_id, status, expires_at, ended_at,
                                      total_minor, currency)
            select gen_random_uuid(), e.organization_id, e.id, :buyer, 'expired', at, at, 0, 'EUR'
              from events e, generate_series(1, :rows) n,
                   lateral (select now() - interval '60 days' + make_interval(secs => n) as at) t
             where e.id = :event
            returning id, organization_id, event_id)
        insert into reservation_items (organization_id, reservation_id, position, event_id, seat_number, seat_label,
                                       ticket_type_id, quantity, price_minor)
        select r.organization_id, r.id, p, r.event_id, p, 'A-' || p, t.id, 1, 0
          from r, generate_series(1, 2) p, (select id from ticket_types where event_id = :event limit 1) t
        """,
        buyer=buyer_id,
        event=show.id,
        rows=BACKLOG,
    )
    await run(app, "analyze reservations, reservation_items")


async def test_a_backlog_is_deleted_in_short_batches_while_holds_continue(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(rows=1, seats=200), await world.person()
    await seed_ended(app, show, buyer.id)
    database: Database = app.state.worker_database
    job, settings = JOBS["clean_reservations"][0], app.state.get(Settings)
    batches: list[float] = []

    async def delete_all() -> None:
        deleted = 1
        while deleted:
            began = time.monotonic()
            async with database.transaction() as session:
                deleted = await job(session, settings)
                scanned = "select relname from pg_stat_xact_user_tables where seq_scan > 0 and relname like 'reserv%'"
                assert (await session.scalars(text(scanned))).all() == []
            batches.append(time.monotonic() - began)

    deleting = asyncio.create_task(delete_all())
    held = 0
    while not deleting.done() and held < len(show.labels):
        await world.hold(buyer, show, show.labels[held])
        held += 1
    await deleting
    assert held > 2
    assert (await count(app, "reservations"), await count(app, "reservation_items")) == (held, held)
    assert len(batches) > BACKLOG // 1000
    # A statement of a request may take 6 s. The median, because a busy machine may stop any process for a second.
    assert sorted(batches)[len(batches) // 2] < 1


@pytest.mark.parametrize("outcome", ["applied", "mismatch"])
async def test_settled_payment_webhooks_are_deleted_and_others_wait_for_an_operator(
    app: FastAPI, world: World, outcome: str
) -> None:
    await world.buy(await world.person(), await world.show(rows=1, seats=1), "Stalls-A-1")
    await run(app, "update payment_events set outcome = :outcome", outcome=outcome)
    await run(app, "update payment_events set processed_at = now() - interval '729 days'")
    assert await clean(app, "clean_payment_events") == 0
    await run(app, "update payment_events set processed_at = now() - interval '731 days'")
    assert await clean(app, "clean_payment_events") == (outcome == "applied")
    assert await count(app, "payments") == 1
    assert await count(app, "payment_events") == (outcome != "applied")


async def test_audit_entries_are_deleted_after_their_retention_and_never_within_a_year(
    app: FastAPI, world: World
) -> None:
    await world.tenant()
    # As the owner, without the trigger that refuses to change entries.
    await run(app, "alter table audit_log disable trigger audit_log_append_only")
    await run(app, "update audit_log set created_at = now() - interval '366 days'")
    assert await clean(app, "clean_audit_log") == 0
    assert await clean(app, "clean_audit_log", audit_retention_days=400) == 0
    assert await clean(app, "clean_audit_log", audit_retention_days=365) == 1
    await world.tenant()
    assert await clean(app, "clean_audit_log", audit_retention_days=0) == 0, "refused by the database"
    assert await count(app, "audit_log") == 1


async def test_refused_scans_are_deleted_and_admissions_stay(app: FastAPI, world: World) -> None:
    sale = await sell_tickets(app, world)
    for _ in range(3):
        await sale.admin.post(sale.door(), {"code": sale.code})
    await run(app, "update check_ins set created_at = now() - interval '364 days'")
    assert await clean(app, "clean_check_ins") == 0
    await run(app, "update check_ins set created_at = now() - interval '366 days'")
    assert await clean(app, "clean_check_ins") == 2
    assert [row.result for row in await rows(app, "select result from check_ins")] == ["admitted"]


async def test_no_clean_up_scans_its_table(app: FastAPI) -> None:
    """With scans of whole tables disabled, a job that has no index for its rows still scans."""
    scanned: dict[str, list[str]] = {}
    for name, (job, _) in CLEANING_JOBS.items():
        async with app.state.worker_database.transaction() as session:
            await session.execute(text("set local enable_seqscan = off"))
            await job(session, app.state.get(Settings))
            query = """select relname from pg_stat_xact_user_tables where seq_scan > 0 and schemaname = 'public'
                          and relname not in ('log_cluster', 'outbox_cursor')"""  # of a few rows each
            scanned[name] = [*(await session.scalars(text(query))).all()]
    assert {name: tables for name, tables in scanned.items() if tables} == {}


async def test_the_page_of_operations_lists_every_table_with_what_cleans_it(app: FastAPI) -> None:
    section = OPERATIONS.read_text("utf-8").partition("\n## Tables\n")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", section, re.MULTILINE)
    query = """select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
                  and not relispartition and relname not like 'outbox_detached_%'"""
    assert sorted(table for table, _, _ in listed) == sorted([row.relname for row in await rows(app, query)])
    named = {name for _, _, cleaned in listed for name in re.findall(r"job `(\w+)`", cleaned)}
    assert named <= JOBS.keys()
    assert CLEANING_JOBS.keys() <= named
    settings = {name for _, _, cleaned in listed for name in re.findall(r"`([A-Z_]+)`", cleaned)}
    assert settings <= {name.upper() for name in Settings.model_fields}
