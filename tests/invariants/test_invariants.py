"""`ticketing check` finds what contradicts itself, and nothing where all is well."""

from io import StringIO

import pytest
from fastapi import FastAPI
from rich.console import Console
from sqlalchemy import text

from tests.invariants.contradictions import BROKEN, WALLS_DOWN
from tests.support.drain import drain
from tests.support.world import World, data
from ticketing import invariants
from ticketing.cli import tables


async def offended(app: FastAPI) -> set[str]:
    async with app.state.worker_database.transaction() as session:
        return {verdict.invariant.name for verdict in await invariants.check(session) if verdict.count}


async def live(app: FastAPI, world: World) -> None:
    """A day in the life of the database: held, bought, checked in, given back, in seats and in places."""
    show, buyer = await world.show(seats=8, rows=1, capacity=20), await world.person()
    items = [{"ticket_type_id": show.area_type_id, "quantity": 3}]
    waiting = await world.hold(buyer, show, "Stalls-A-1", items=items)
    await world.order(buyer, waiting)
    data(await buyer.delete(f"/reservations/{(await world.hold(buyer, show, 'Stalls-A-2'))['id']}"))
    await world.buy(buyer, show, "Stalls-A-3", "Stalls-A-4", items=items)
    refunded = await world.buy(buyer, show, "Stalls-A-5", items=items)
    await drain(app)
    tickets = data(await buyer.get(f"/orders/{refunded['id']}/tickets"))
    ids = [tickets[0]["id"], tickets[1]["id"]]
    data(await show.tenant.admin.post(f"/orders/{refunded['id']}/refunds", {"ticket_ids": ids}), 201)
    body = {"code": tickets[2]["code"]}
    data(await show.tenant.admin.post(show.path("/check-ins"), body))
    await drain(app)


async def test_a_lively_database_contradicts_nothing(app: FastAPI, world: World) -> None:
    await live(app, world)
    assert await offended(app) == set()


async def found_after(app: FastAPI, statements: str) -> set[str]:
    """What is found to be wrong after these statements, which are undone again."""
    async with app.state.owner_database.transaction() as session:
        for statement in ("set local session_replication_role = replica", *statements.split(";")):
            await session.execute(text(statement))
        found = {verdict.invariant.name for verdict in await invariants.judge(session) if verdict.count}
        await session.rollback()
    return found


async def test_each_contradiction_is_found(app: FastAPI, world: World) -> None:
    await live(app, world)
    missed = [name for name, statements in BROKEN.items() if name not in await found_after(app, statements)]
    assert missed == []
    assert await offended(app) == set()


async def test_a_wall_that_is_down_is_found(app: FastAPI) -> None:
    missed = [name for name, down in WALLS_DOWN.items() if await found_after(app, down) != {"walls_stand"}]
    assert missed == []


async def test_the_rows_in_question_are_named(app: FastAPI, world: World) -> None:
    show = await world.show(seats=8, rows=1)
    async with app.state.owner_database.transaction() as session:
        await session.execute(text("set local session_replication_role = replica"))
        await session.execute(text("update event_seats set status = 's', reservation_id = gen_random_uuid()"))
    async with app.state.worker_database.transaction() as session:
        verdicts = {v.invariant.name: v for v in await invariants.check(session)}
    verdict = verdicts["taken_seat_was_counted"]
    assert verdict.count == 8
    assert len(verdict.named) == invariants.NAMED_MAX
    assert set(verdict.named) <= {f"{show.id} {label}" for label in show.labels}


def shown(verdicts: list[invariants.Verdict], *, is_terminal: bool) -> tuple[str, bool]:
    written = StringIO()
    console = Console(file=written, force_terminal=is_terminal, width=200, color_system=None)
    is_well = tables.show(verdicts, console)
    return written.getvalue(), is_well


@pytest.mark.parametrize("is_terminal", [True, False], ids=["terminal", "plain"])
def test_what_is_wrong_is_shown_and_decides_the_answer(is_terminal: bool) -> None:
    first, second, *_ = invariants.INVARIANTS
    wrong = invariants.Verdict(first, 7, ["Stalls-[A]-1", "Stalls-A-2"])
    well = invariants.Verdict(second, 0, [])
    said, is_well = shown([wrong, well], is_terminal=is_terminal)
    assert not is_well
    lines = [line.strip() for line in said.splitlines()]
    assert any(line.startswith("7 ") and line.endswith(first.sentence) for line in lines)
    assert any(line.startswith("ok ") and line.endswith(second.sentence) for line in lines)
    assert "Stalls-[A]-1" in lines
    assert lines[-1] == "1 of 2 do not hold."
    assert ("and 5 more" in lines) == is_terminal
    assert shown([well], is_terminal=is_terminal)[1]


def test_every_invariant_can_be_broken() -> None:
    assert {invariant.name for invariant in invariants.INVARIANTS} == set(BROKEN)
