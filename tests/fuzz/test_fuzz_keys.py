"""Whatever is changed about an API key or a device's token: it opens nothing, and neither opens what the other does."""

from random import Random

import httpx2
from fastapi import FastAPI

from tests.fuzz.key_mutants import KINDS
from tests.fuzz.size import SEED, SIZE, count
from tests.support.world import API, data
from tests.sweeps.database_state import changed_tables, read_state
from tests.sweeps.full_tenant import Stage

SCHEMES = ("ApiKey", "Device")


async def test_no_mutant_of_a_key_or_a_device_token_opens_anything(
    app: FastAPI, client: httpx2.AsyncClient, stage: Stage
) -> None:
    rng, door = Random(SEED), f"{API}{stage.show.path('/check-ins/stats')}"
    secrets = (stage.key["key"], stage.device["token"])
    for scheme, secret in zip(SCHEMES, secrets, strict=True):
        data(await _ask(client, door, f"{scheme} {secret}"))
    before = await read_state(app)
    for number in range(SIZE.keys):
        good, kind = secrets[number % 2], KINDS[number // 2 % len(KINDS)]
        mutant = kind(rng, good)
        # Either scheme is tried: a key is no device's token, and the other way round.
        answer = await _ask(client, door, f"{rng.choice(SCHEMES)} {mutant}")
        assert mutant not in secrets
        assert answer.status_code == 401, f"{kind.__name__}: {mutant!r} of {good}: {answer.text[:300]}"
    assert changed_tables(before, await read_state(app)) == []
    count("mutants of keys and device tokens, 0 accepted", SIZE.keys)


async def test_a_good_secret_under_the_wrong_scheme_opens_nothing(client: httpx2.AsyncClient, stage: Stage) -> None:
    door = f"{API}{stage.show.path('/check-ins/stats')}"
    key, token = stage.key["key"], stage.device["token"]
    for authorization in (f"ApiKey {token}", f"Device {key}", f"Bearer {key}", f"Bearer {token}", f"Basic {key}", key):
        assert (await _ask(client, door, authorization)).status_code == 401, authorization


async def _ask(client: httpx2.AsyncClient, path: str, authorization: str) -> httpx2.Response:
    return await client.get(path, headers=[(b"Authorization", authorization.encode("utf-8"))])
