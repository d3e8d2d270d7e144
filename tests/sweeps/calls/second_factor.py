"""Examples of enabling and disabling a second factor."""

from tests.support.authenticator import begin, digits, switch_on
from tests.support.world import API, PASSWORD, data
from tests.sweeps.calls.call import Call, example
from tests.sweeps.full_tenant import FullTenant


@example("POST /me/second-factor")
async def begin_second_factor(tenant: FullTenant) -> Call:
    return Call(await tenant.world.person(), body={"password": PASSWORD})


@example("POST /me/second-factor/confirm")
async def confirm_second_factor(tenant: FullTenant) -> Call:
    person = await tenant.world.person()
    return Call(person, body={"code": digits(await begin(person))})


@example("DELETE /me/second-factor")
async def disable_second_factor(tenant: FullTenant) -> Call:
    person = await tenant.world.person()
    _, recovery_codes = await switch_on(person)
    # A second session, which ends as well: its changed row shows which transaction ended it.
    body = {"email": person.email, "password": PASSWORD, "code": recovery_codes[1]}
    data(await tenant.world.client.post(f"{API}/auth/login", json=body))
    return Call(person, body={"password": PASSWORD, "code": recovery_codes[0]})


@example("POST /auth/login (with a second factor)")
async def log_in_with_a_code(tenant: FullTenant) -> Call:
    person = await tenant.world.person()
    _, recovery_codes = await switch_on(person)
    return Call(None, body={"email": person.email, "password": PASSWORD, "code": recovery_codes[0]})
