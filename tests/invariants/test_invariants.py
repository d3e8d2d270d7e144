"""`ticketing check` finds each contradiction in the data, and none in consistent data."""

from io import StringIO

import pytest
from fastapi import FastAPI
from rich.console import Console
from sqlalchemy import text

from tests.invariants.contradictions import BROKEN, REMOVED_SAFEGUARDS
from tests.support.drain import drain
from tests.support.world import World, data
from ticketing import invariants
from ticketing.cli.actions import check
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.embedded.postgres import EmbeddedPostgres


async def offended(app: FastAPI) -> set[str]:
    async with app.state.worker_database.transaction() as session:
        return {result.invariant.name for result in await invariants.check(session) if result.count}


async def fill(app: FastAPI, world: World) -> None:
    """Fill the database: seats and places that are held, cancelled, sold, checked in and refunded."""
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


async def test_a_filled_database_has_no_contradictions(app: FastAPI, world: World) -> None:
    await fill(app, world)
    assert await offended(app) == set()


async def found_after(database: Database, statements: str) -> set[str]:
    """The invariants that these statements break. They are rolled back."""
    async with database.transaction() as session:
        for statement in ("set local session_replication_role = replica", *statements.split(";")):
            await session.execute(text(statement))
        found = {result.invariant.name for result in await invariants.check_in_transaction(session) if result.count}
        await session.rollback()
    return found


async def test_each_contradiction_is_found(app: FastAPI, world: World) -> None:
    await fill(app, world)
    missed = []
    for name, statements in BROKEN.items():
        if name not in await found_after(app.state.owner_database, statements):
            missed.append(name)
    assert missed == []
    assert await offended(app) == set()


async def test_a_removed_safeguard_is_found(settings: Settings, postgres: EmbeddedPostgres, database_url: str) -> None:
    # Only a superuser can disable the triggers of foreign keys.
    superuser = Database(settings, url=postgres.url(database_url.rpartition("/")[2]))
    missed = [
        name
        for name, statement in REMOVED_SAFEGUARDS.items()
        if await found_after(superuser, statement) != {"safeguards_are_in_force"}
    ]
    await superuser.close()
    assert missed == []


async def test_offenders_are_listed(app: FastAPI, world: World) -> None:
    show = await world.show(seats=8, rows=1)
    async with app.state.owner_database.transaction() as session:
        await session.execute(text("set local session_replication_role = replica"))
        await session.execute(text("update event_seats set status = 's', reservation_id = gen_random_uuid()"))
    async with app.state.worker_database.transaction() as session:
        results = {each.invariant.name: each for each in await invariants.check(session)}
    result = results["seat_version_counts_its_changes"]
    assert result.count == 8
    assert len(result.offenders) == invariants.OFFENDERS_MAX
    assert set(result.offenders) <= {f"{show.id} {label}" for label in show.labels}


def shown(results: list[invariants.InvariantResult], *, is_terminal: bool) -> tuple[str, bool]:
    written = StringIO()
    console = Console(file=written, force_terminal=is_terminal, width=200, color_system=None)
    is_consistent = check.print_results(results, console)
    return written.getvalue(), is_consistent


@pytest.mark.parametrize("is_terminal", [True, False], ids=["terminal", "plain"])
def test_the_results_are_printed_and_decide_the_return_value(is_terminal: bool) -> None:
    first, second, *_ = invariants.INVARIANTS
    broken = invariants.InvariantResult(first, 7, ["Stalls-[A]-1", "Stalls-A-2"])
    kept = invariants.InvariantResult(second, 0, [])
    printed, is_consistent = shown([broken, kept], is_terminal=is_terminal)
    assert not is_consistent
    lines = [line.strip() for line in printed.splitlines()]
    assert any(line.startswith("7 ") and line.endswith(first.sentence) for line in lines)
    assert any(line.startswith("ok ") and line.endswith(second.sentence) for line in lines)
    assert "Stalls-[A]-1" in lines
    assert lines[-1] == "1 of 2 do not hold."
    assert ("and 5 more" in lines) == is_terminal
    assert shown([kept], is_terminal=is_terminal)[1]


def test_every_invariant_can_be_broken() -> None:
    assert {invariant.name for invariant in invariants.INVARIANTS} == set(BROKEN)
