"""Row-level security: the settings of a transaction decide what it sees, and without settings it sees nothing."""

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

#: Tables that no request can read.
CLOSED = {"dead_letters"}
#: Published events and their venues are public.
PUBLIC = {"events", "venues"}
SHOWN = {"category_prices", "event_seats", "event_streams", "plan_seats", "seating_plans", "ticket_types"}
PERSONAL = {"order_lines", "orders", "payments", "refunds", "reservation_items", "reservations", "tickets"}

TwoTenants = tuple[Tenant, Person, Tenant, Person]


@pytest.fixture
async def two_tenants(world: World, app: FastAPI) -> TwoTenants:
    return (*await fill(world, app, "one"), *await fill(world, app, "other"))


@pytest.fixture
async def tables(database: Database) -> list[str]:
    async with database.transaction() as session:
        return [table for table in await session.scalars(TENANT_TABLES) if table not in CLOSED]


@pytest.fixture
def requests(app: FastAPI) -> Database:
    database: Database = app.state.get(Database)
    return database


def owned_by(owners: set[str], tables: Iterable[str]) -> dict[str, set[str]]:
    return {table: owners for table in tables}


async def visible(
    requests: Database,
    tables: list[str],
    person: Person | None = None,
    tenant: Tenant | None = None,
    shown: Tenant | None = None,
) -> dict[str, set[str]]:
    """The owners of the rows that a request sees, by table; tables without visible rows are left out."""
    async with request(requests, person, tenant, shown) as session:
        found = {table: await owners(session, table) for table in tables}
    return {table: ids for table, ids in found.items() if ids}


async def test_every_table_has_a_row_of_each_tenant(
    two_tenants: TwoTenants, database: Database, tables: list[str]
) -> None:
    async with database.transaction() as session:
        missing = {t for t in tables if not {two_tenants[0].id, two_tenants[2].id} <= await owners(session, t)}
    assert missing == set()


async def test_without_settings_only_published_events_are_visible(
    two_tenants: TwoTenants, requests: Database, tables: list[str]
) -> None:
    both = {two_tenants[0].id, two_tenants[2].id}
    assert await visible(requests, tables) == owned_by(both, PUBLIC)


async def test_in_an_organization_only_its_own_rows_are_visible(
    two_tenants: TwoTenants, requests: Database, tables: list[str]
) -> None:
    one, _, other, _ = two_tenants
    found = await visible(requests, tables, tenant=one)
    assert found == owned_by({one.id}, tables) | owned_by({one.id, other.id}, PUBLIC)


async def test_a_buyer_sees_their_own_rows(two_tenants: TwoTenants, requests: Database, tables: list[str]) -> None:
    one, buyer, other, _ = two_tenants
    found = await visible(requests, tables, person=buyer)
    assert found == owned_by({one.id}, PERSONAL) | owned_by({one.id, other.id}, PUBLIC)


async def test_a_member_can_look_up_the_owner_of_a_row(
    two_tenants: TwoTenants, requests: Database, tables: list[str]
) -> None:
    one, _, other, _ = two_tenants
    found = await visible(requests, tables, person=one.admin)
    mine = PERSONAL | {"members"}
    assert found == owned_by({one.id}, mine) | owned_by({one.id, other.id}, PUBLIC)


async def test_a_public_page_shows_seats_and_prices_only(
    two_tenants: TwoTenants, requests: Database, tables: list[str]
) -> None:
    one, _, other, _ = two_tenants
    found = await visible(requests, tables, shown=one)
    assert found == owned_by({one.id}, SHOWN) | owned_by({one.id, other.id}, PUBLIC)


async def test_a_draft_is_visible_to_members_only(world: World, requests: Database) -> None:
    tenant, stranger = await world.tenant(), await world.person()
    await world.show(tenant, publish=False)
    for options, is_visible in (
        ({}, False),
        ({"person": stranger}, False),
        ({"shown": tenant}, False),
        ({"person": tenant.admin}, True),
        ({"tenant": tenant}, True),
    ):
        async with request(requests, **options) as session:
            assert bool(await owners(session, "events")) is is_visible, options


async def test_an_organization_is_visible_to_members_and_from_its_first_event(world: World, requests: Database) -> None:
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
async def test_no_row_of_another_tenant_is_changed_or_locked(
    two_tenants: TwoTenants, requests: Database, tables: list[str], change: str
) -> None:
    one, _, other, _ = two_tenants
    for table in tables:
        async with request(requests, person=other.admin, tenant=one, shown=other) as session:
            done = await attempt(session, CHANGES[change].format(table=table), other)
        assert done is None or done.rowcount == 0, table


async def attempt(session: AsyncSession, statement: str, other: Tenant) -> Any:
    """The result of the statement; None when it was refused."""
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
async def test_no_row_is_moved_into_another_tenant(
    two_tenants: TwoTenants, requests: Database, tables: list[str], change: str
) -> None:
    one, _, other, _ = two_tenants
    for table in tables:
        async with request(requests, tenant=one) as session:
            columns = await session.scalar(WRITABLE, {"table": table})
            for statement in change.format(table=table, columns=columns, other=other.id).split(";"):
                done = await attempt(session, statement, other)
            assert done is None, table
            await session.rollback()


async def test_settings_end_with_their_transaction(
    two_tenants: TwoTenants, requests: Database, tables: list[str]
) -> None:
    one, buyer, *_ = two_tenants
    for ending in (None, RuntimeError):
        for _ in range(requests.engine.pool.size() + 1):  # type: ignore[attr-defined]
            try:
                async with request(requests, buyer, one, one) as session:
                    assert await owners(session, "orders") == {one.id}
                    if ending is not None:
                        raise ending
            except RuntimeError:
                pass
        assert set(await visible(requests, tables)) == PUBLIC
