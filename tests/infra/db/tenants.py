"""Builds tenants with a row in every tenant table, and transactions with the settings of a request."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.support.drain import drain
from tests.support.world import Person, Tenant, World, data
from ticketing.infra.db import Database, tenancy

TENANT_TABLES = text("""
    select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'organization_id'
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
     order by 1""")


async def fill(world: World, app: FastAPI, name: str) -> tuple[Tenant, Person]:
    """Create a tenant with a sale, an admission and a refund, and its buyer."""
    tenant, buyer = await world.tenant(name), await world.person(f"{name}-buyer")
    show = await world.show(tenant, capacity=10)
    order = await world.buy(buyer, show, "Stalls-A-1", items=[{"ticket_type_id": show.area_type_id, "quantity": 1}])
    await drain(app)
    first = data(await buyer.get(f"/orders/{order['id']}/tickets"))[0]
    data(await tenant.admin.post(show.path("/check-ins"), {"code": first["code"]}))
    data(await tenant.admin.post(f"/orders/{order['id']}/refunds", {"amount": 100}), 201)
    data(await tenant.admin.post(tenant.path("/api-keys"), {"name": "Till", "role": "ORG_STAFF"}), 201)
    guest = {"email": "guest@example.com", "role": "ORG_STAFF"}
    data(await tenant.admin.post(tenant.path("/invitations"), guest), 201)
    data(await tenant.admin.post(show.path("/devices"), {"name": "Gate"}), 201)
    hook = data(await tenant.admin.post(tenant.path("/webhooks"), {"url": "https://hooks.example.com/a"}), 201)
    data(await tenant.admin.post(tenant.path(f"/webhooks/{hook['id']}/test")), 201)
    return tenant, buyer


@asynccontextmanager
async def request(
    database: Database, person: Person | None = None, tenant: Tenant | None = None, shown: Tenant | None = None
) -> AsyncIterator[AsyncSession]:
    """A transaction with the settings of a request: a caller, an organization it works in, or one that it shows."""
    async with database.transaction(UUID(person.id) if person else None) as session:
        if tenant is not None:
            await tenancy.enter(session, UUID(tenant.id))
        if shown is not None:
            await tenancy.show(session, [UUID(shown.id)])
        yield session


async def owners(session: AsyncSession, table: str) -> set[str]:
    """The owners of the rows of this table that the transaction sees."""
    rows = await session.scalars(text(f"select distinct organization_id from {table}"))
    return {str(owner) for owner in rows}
