"""No mutated API key or device token is accepted, and neither is valid under the scheme of the other."""

from random import Random

import httpx2
from fastapi import FastAPI

from tests.fuzz.key_mutants import KINDS
from tests.fuzz.size import SEED, SIZE, count
from tests.support.world import API, data
from tests.sweeps.database_state import changed_tables, read_state
from tests.sweeps.full_tenant import FullTenant

SCHEMES = ("ApiKey", "Device")


async def test_no_mutant_of_an_api_key_or_device_token_is_accepted(
    app: FastAPI, client: httpx2.AsyncClient, tenant: FullTenant
) -> None:
    rng, door = Random(SEED), f"{API}{tenant.show.path('/check-ins/stats')}"
    secrets = (tenant.key["key"], tenant.device["token"])
    for scheme, secret in zip(SCHEMES, secrets, strict=True):
        data(await _get(client, door, f"{scheme} {secret}"))
    before = await read_state(app)
    for number in range(SIZE.keys):
        valid, kind = secrets[number % 2], KINDS[number // 2 % len(KINDS)]
        mutant = kind(rng, valid)
        # Both schemes: an API key is not valid as a device token, and vice versa.
        response = await _get(client, door, f"{rng.choice(SCHEMES)} {mutant}")
        assert mutant not in secrets
        assert response.status_code == 401, f"{kind.__name__}: {mutant!r} of {valid}: {response.text[:300]}"
    assert changed_tables(before, await read_state(app)) == []
    count("mutants of keys and device tokens, 0 accepted", SIZE.keys)


async def test_a_valid_secret_under_the_wrong_scheme_is_refused(client: httpx2.AsyncClient, tenant: FullTenant) -> None:
    door = f"{API}{tenant.show.path('/check-ins/stats')}"
    key, token = tenant.key["key"], tenant.device["token"]
    for authorization in (f"ApiKey {token}", f"Device {key}", f"Bearer {key}", f"Bearer {token}", f"Basic {key}", key):
        assert (await _get(client, door, authorization)).status_code == 401, authorization


async def _get(client: httpx2.AsyncClient, path: str, authorization: str) -> httpx2.Response:
    return await client.get(path, headers=[(b"Authorization", authorization.encode("utf-8"))])
