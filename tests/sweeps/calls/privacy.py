"""Examples of what people may ask of what is held of them."""

from tests.support.world import PASSWORD
from tests.sweeps.calls.call import Call, example
from tests.sweeps.full_tenant import Stage


@example("GET /me/export")
async def export(stage: Stage) -> Call:
    return Call(stage.buyer)


@example("POST /me/erase")
async def erase(stage: Stage) -> Call:
    return Call(await stage.world.person(), body={"password": PASSWORD, "give_up_tickets": True})
