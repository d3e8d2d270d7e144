"""Examples of requests about personal data."""

from tests.support.world import PASSWORD
from tests.sweeps.calls.call import Call, example
from tests.sweeps.full_tenant import FullTenant


@example("GET /me/export")
async def export(tenant: FullTenant) -> Call:
    return Call(tenant.buyer)


@example("POST /me/erase")
async def erase(tenant: FullTenant) -> Call:
    return Call(await tenant.world.person(), body={"password": PASSWORD, "give_up_tickets": True})
