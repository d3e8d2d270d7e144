"""Whatever is changed about a ticket's code: it opens no door."""

from random import Random
from uuid import UUID

from fastapi import FastAPI

from tests.fuzz.code_mutants import KINDS
from tests.fuzz.size import SEED, SIZE, count
from tests.support.world import data
from tests.sweeps.database_state import changed_tables, read_state
from tests.sweeps.full_tenant import Stage
from ticketing.modules.tickets.codes import CodeClaims, InvalidCode, Keyring

#: Two keys are known at a door, so that a code may also be passed off as the other one's.
RING = Keyring([b"n" * 32, b"o" * 32])


def is_read(code: str) -> bool:
    """Anything but a refused code counts as read, an exception of another kind too."""
    try:
        RING.read(code)
    except InvalidCode:
        return False
    return True


def test_no_mutant_of_a_code_is_read() -> None:
    rng = Random(SEED)
    for number in range(SIZE.codes):
        claims = CodeClaims(UUID(int=rng.getrandbits(128)), UUID(int=rng.getrandbits(128)), rng.randrange(65_536))
        good, kind = RING.sign(claims), KINDS[number % len(KINDS)]
        mutant = kind(rng, good)
        assert mutant != good, kind.__name__
        assert not is_read(mutant), f"{kind.__name__}: {mutant!r} of {good}"
        if number % 1_000 == 0:
            assert RING.read(good) == claims, "without the mistake it would have been"
    count("mutants of ticket codes, 0 read", SIZE.codes)


async def test_no_mutant_is_admitted_at_the_door(app: FastAPI, stage: Stage) -> None:
    rng, door, code = Random(SEED), stage.show.path("/check-ins"), stage.ticket["code"]
    before = await read_state(app)
    for kind in KINDS * SIZE.over_http:
        mutant = kind(rng, code)
        answer = await stage.scanner.post(door, {"code": mutant})
        # A code that is too long, or holds what no text may, is refused as a field before it is read as a code.
        assert answer.status_code == 422, f"{kind.__name__}: {mutant!r}: {answer.text[:300]}"
        assert {error["code"] for error in answer.json()["errors"]} <= {"invalid_code", "invalid"}
        assert {error["field"] for error in answer.json()["errors"]} == {"code"}
    assert changed_tables(before, await read_state(app)) == []
    assert data(await stage.scanner.post(door, {"code": code}))["result"] == "admitted"
    count("mutants of ticket codes at the door, 0 admitted", SIZE.over_http * len(KINDS))
