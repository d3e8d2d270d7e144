"""No mutated ticket code is valid, and none is admitted."""

from random import Random
from uuid import UUID

from fastapi import FastAPI

from tests.fuzz.code_mutants import KINDS
from tests.fuzz.size import SEED, SIZE, count
from tests.support.world import data
from tests.sweeps.database_state import changed_tables, read_state
from tests.sweeps.full_tenant import FullTenant
from ticketing.modules.tickets.codes import CodeClaims, InvalidCode, Keyring

#: Two known keys, so that a code may also claim the id of the other key.
RING = Keyring([b"n" * 32, b"o" * 32])


def is_valid(code: str) -> bool:
    """Whether the code is not refused as invalid; any other exception counts as valid."""
    try:
        RING.read(code)
    except InvalidCode:
        return False
    return True


def test_no_mutant_of_a_ticket_code_is_valid() -> None:
    rng = Random(SEED)
    for number in range(SIZE.codes):
        claims = CodeClaims(UUID(int=rng.getrandbits(128)), UUID(int=rng.getrandbits(128)), rng.randrange(65_536))
        valid, kind = RING.sign(claims), KINDS[number % len(KINDS)]
        mutant = kind(rng, valid)
        assert mutant != valid, kind.__name__
        assert not is_valid(mutant), f"{kind.__name__}: {mutant!r} of {valid}"
        if number % 1_000 == 0:
            assert RING.read(valid) == claims, "the unchanged code is valid"
    count("mutants of ticket codes, 0 valid", SIZE.codes)


async def test_no_mutant_is_admitted_at_the_door(app: FastAPI, tenant: FullTenant) -> None:
    rng, door, code = Random(SEED), tenant.show.path("/check-ins"), tenant.ticket["code"]
    before = await read_state(app)
    for kind in KINDS * SIZE.over_http:
        mutant = kind(rng, code)
        response = await tenant.scanner.post(door, {"code": mutant})
        # A code that is too long or has forbidden characters is refused as a field, before it is parsed.
        assert response.status_code == 422, f"{kind.__name__}: {mutant!r}: {response.text[:300]}"
        assert {error["code"] for error in response.json()["errors"]} <= {"invalid_code", "invalid"}
        assert {error["field"] for error in response.json()["errors"]} == {"code"}
    assert changed_tables(before, await read_state(app)) == []
    assert data(await tenant.scanner.post(door, {"code": code}))["result"] == "admitted"
    count("mutants of ticket codes at the door, 0 admitted", SIZE.over_http * len(KINDS))
