"""Examples of switching a second factor on and off."""

from tests.support.authenticator import begin, digits, switch_on
from tests.support.world import API, PASSWORD, data
from tests.sweeps.calls.call import Call, example
from tests.sweeps.full_tenant import Stage


@example("POST /me/second-factor")
async def begin_second_factor(stage: Stage) -> Call:
    return Call(await stage.world.person(), body={"password": PASSWORD})


@example("POST /me/second-factor/confirm")
async def confirm_second_factor(stage: Stage) -> Call:
    person = await stage.world.person()
    return Call(person, body={"code": digits(await begin(person))})


@example("DELETE /me/second-factor")
async def disable_second_factor(stage: Stage) -> Call:
    person = await stage.world.person()
    _, recovery_codes = await switch_on(person)
    # Logged in elsewhere too, which ends with it: a row that is gone could not show whose transaction took it.
    body = {"email": person.email, "password": PASSWORD, "code": recovery_codes[1]}
    data(await stage.world.client.post(f"{API}/auth/login", json=body))
    return Call(person, body={"password": PASSWORD, "code": recovery_codes[0]})


@example("POST /auth/login (with a second factor)")
async def log_in_with_a_code(stage: Stage) -> Call:
    person = await stage.world.person()
    _, recovery_codes = await switch_on(person)
    return Call(None, body={"email": person.email, "password": PASSWORD, "code": recovery_codes[0]})
