"""Row-level security: what a request sees follows from what it has said, and unset means nothing."""

import re
from collections.abc import Iterable
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from tests.infra.db.tenants import TENANT_TABLES, fill, owners, request
from tests.support.world import Person, Tenant, World
from ticketing.infra.db import Database

#: What requests have no business with, whoever makes them.
CLOSED = {"dead_letters"}
#: A published event and where it is are for everybody.
PUBLIC = {"events", "venues"}
SHOWN = {"category_prices", "event_seats", "event_streams", "plan_seats", "seating_plans", "ticket_types"}
PERSONAL = {"order_lines", "orders", "payments", "refunds", "reservation_items", "reservations", "tickets"}

Stage = tuple[Tenant, Person, Tenant, Person]


@pytest.fixture
async def stage(world: World, app: FastAPI) -> Stage:
    return (*await fill(world, app, "one"), *await fill(world, app, "other"))


@pytest.fixture
async def tables(database: Database) -> list[str]:
    async with database.transaction() as session:
        return [table for table in await session.scalars(TENANT_TABLES) if table not in CLOSED]


@pytest.fixture
def requests(app: FastAPI) -> Database:
    database: Database = app.state.get(Database)
    return database


def each(tables: Iterable[str], whose: set[str]) -> dict[str, set[str]]:
    return {table: whose for table in tables}


async def seen(
    requests: Database,
    tables: list[str],
    person: Person | None = None,
    tenant: Tenant | None = None,
    shown: Tenant | None = None,
) -> dict[str, set[str]]:
    """Whose rows a request sees, by table; tables of which it sees nothing are left out."""
    async with request(requests, person, tenant, shown) as session:
        found = {table: await owners(session, table) for table in tables}
    return {table: whose for table, whose in found.items() if whose}


async def test_the_stage_has_a_row_of_each_tenant_in_every_table(
    stage: Stage, database: Database, tables: list[str]
) -> None:
    async with database.transaction() as session:
        missing = {t for t in tables if not {stage[0].id, stage[2].id} <= await owners(session, t)}
    assert missing == set()


async def test_who_says_nothing_sees_nothing_but_published_events(
    stage: Stage, requests: Database, tables: list[str]
) -> None:
    both = {stage[0].id, stage[2].id}
    assert await seen(requests, tables) == each(PUBLIC, both)


async def test_in_an_organization_all_of_it_is_seen_and_nothing_of_another(
    stage: Stage, requests: Database, tables: list[str]
) -> None:
    one, _, other, _ = stage
    found = await seen(requests, tables, tenant=one)
    assert found == each(tables, {one.id}) | each(PUBLIC, {one.id, other.id})


async def test_a_buyer_sees_their_own_rows(stage: Stage, requests: Database, tables: list[str]) -> None:
    one, buyer, other, _ = stage
    found = await seen(requests, tables, person=buyer)
    assert found == each(PERSONAL, {one.id}) | each(PUBLIC, {one.id, other.id})


async def test_a_member_can_find_out_whose_a_row_is(stage: Stage, requests: Database, tables: list[str]) -> None:
    one, _, other, _ = stage
    found = await seen(requests, tables, person=one.admin)
    mine = PERSONAL | {"members"}
    assert found == each(mine, {one.id}) | each(PUBLIC, {one.id, other.id})


async def test_a_shop_window_shows_seats_and_prices_and_no_more(
    stage: Stage, requests: Database, tables: list[str]
) -> None:
    one, _, other, _ = stage
    found = await seen(requests, tables, shown=one)
    assert found == each(SHOWN, {one.id}) | each(PUBLIC, {one.id, other.id})


async def test_a_draft_is_seen_by_its_members_only(world: World, requests: Database) -> None:
    tenant, stranger = await world.tenant(), await world.person()
    await world.show(tenant, publish=False)
    for options, is_seen in (
        ({}, False),
        ({"person": stranger}, False),
        ({"shown": tenant}, False),
        ({"person": tenant.admin}, True),
        ({"tenant": tenant}, True),
    ):
        async with request(requests, **options) as session:
            assert bool(await owners(session, "events")) is is_seen, options


async def test_an_organization_is_seen_by_its_members_and_with_its_first_event(
    world: World, requests: Database
) -> None:
    tenant = await world.tenant()
    names = text("select count(*) from organizations")
    async with request(requests) as session:
        assert await session.scalar(names) == 0
    async with request(requests, person=tenant.admin) as session:
        assert await session.scalar(names) == 1
    await world.show(tenant)
    async with request(requests) as session:
        assert await session.scalar(names) == 1


CHANGES = {
    "update": "update {table} set organization_id = organization_id where organization_id = :other",
    "delete": "delete from {table} where organization_id = :other",
    "lock": "select from {table} where organization_id = :other for update",
}


@pytest.mark.parametrize("change", CHANGES)
async def test_nothing_of_another_tenant_is_changed_or_locked(
    stage: Stage, requests: Database, tables: list[str], change: str
) -> None:
    one, _, other, _ = stage
    for table in tables:
        async with request(requests, person=other.admin, tenant=one, shown=other) as session:
            done = await attempt(session, CHANGES[change].format(table=table), other)
        assert done is None or done.rowcount == 0, table


async def attempt(session: AsyncSession, statement: str, other: Tenant) -> Any:
    """What the statement did; None when it was refused."""
    try:
        async with session.begin_nested():
            return await session.execute(text(statement), {"other": other.id})
    except DBAPIError as error:
        if not re.search("row-level security|permission denied", str(error.orig)):
            raise
        return None


COPY = """create temporary table copied as select {columns} from {table} limit 1;
          update copied set organization_id = '{other}';
          insert into {table} ({columns}) overriding user value table copied"""
WRITABLE = text("""
    select string_agg(quote_ident(attname), ', ') from pg_attribute
     where attrelid = cast(:table as regclass) and attnum > 0 and not attisdropped and attgenerated = ''""")
MOVE = "update {table} set organization_id = '{other}'"


@pytest.mark.parametrize("change", [COPY, MOVE])
async def test_no_row_gets_into_another_tenant(
    stage: Stage, requests: Database, tables: list[str], change: str
) -> None:
    one, _, other, _ = stage
    for table in tables:
        async with request(requests, tenant=one) as session:
            columns = await session.scalar(WRITABLE, {"table": table})
            for statement in change.format(table=table, columns=columns, other=other.id).split(";"):
                done = await attempt(session, statement, other)
            assert done is None, table
            await session.rollback()


async def test_what_a_transaction_said_ends_with_it(stage: Stage, requests: Database, tables: list[str]) -> None:
    one, buyer, *_ = stage
    for ending in (None, RuntimeError):
        for _ in range(requests.engine.pool.size() + 1):  # type: ignore[attr-defined]
            try:
                async with request(requests, buyer, one, one) as session:
                    assert await owners(session, "orders") == {one.id}
                    if ending is not None:
                        raise ending
            except RuntimeError:
                pass
        assert set(await seen(requests, tables)) == PUBLIC
