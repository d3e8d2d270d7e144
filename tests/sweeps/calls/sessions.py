"""Examples of managing the own sessions."""

from tests.support.world import API, PASSWORD, data
from tests.sweeps.calls.call import Call, example
from tests.sweeps.full_tenant import FullTenant


@example("DELETE /me/sessions")
async def end_all_sessions(tenant: FullTenant) -> Call:
    return Call(await tenant.world.person(), query={"keep_current": "false"})


@example("DELETE /me/sessions/{session_id}")
async def end_session(tenant: FullTenant) -> Call:
    person = await tenant.world.person()
    body = {"email": person.email, "password": PASSWORD}
    data(await tenant.world.client.post(f"{API}/auth/login", json=body))
    [other] = [each for each in data(await person.get("/me/sessions")) if not each["is_current"]]
    return Call(person, {"session_id": other["id"]})


@example("POST /me/password")
async def change_password(tenant: FullTenant) -> Call:
    body = {"current_password": PASSWORD, "new_password": "staple battery horse"}
    return Call(await tenant.world.person(), body=body)
