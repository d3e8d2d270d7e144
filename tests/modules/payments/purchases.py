"""Build purchases, and inspect or change the database: rows, published messages, and the expiry of holds."""

from typing import Any

from fastapi import FastAPI
from sqlalchemy import text

from tests.support.world import Person, Show, World, data
from ticketing import invariants


async def rows(app: FastAPI, query: str, **values: Any) -> list[Any]:
    async with app.state.worker_database.transaction() as session:
        return list((await session.execute(text(query), values)).all())


async def run(app: FastAPI, statement: str, **values: Any) -> None:
    async with app.state.owner_database.transaction() as session:
        await session.execute(text(statement), values)


async def contradictions(app: FastAPI) -> list[str]:
    """The names of the invariants that the database breaks."""
    async with app.state.worker_database.transaction() as session:
        return [verdict.invariant.name for verdict in await invariants.check(session) if verdict.count]


async def message_counts(app: FastAPI, order: dict[str, Any]) -> dict[str, int]:
    """Count the published messages with this order's key, by topic."""
    counts = await rows(app, "select topic, count(*) from outbox where key = :id group by topic", id=order["id"])
    return {topic: count for topic, count in counts}


async def end_hold(app: FastAPI, reservation_id: str, seconds: float) -> None:
    """Let the hold expire `seconds` from now; with a negative number it has expired already."""
    await run(
        app,
        "update reservations set expires_at = clock_timestamp() + make_interval(secs => :s) where id = :id",
        s=seconds,
        id=reservation_id,
    )
    await run(
        app,
        """update event_seats s set held_until = r.expires_at from reservations r
            where r.id = s.reservation_id and s.status = 'h' and r.id = :id""",
        id=reservation_id,
    )


async def order_with_payment(world: World, show: Show, *seats: str, buyer: Person | None = None, **body: Any) -> Any:
    """Return a buyer, their order and its open payment."""
    buyer = buyer or await world.person("buyer")
    order = await world.order(buyer, await world.hold(buyer, show, *seats, **body))
    return buyer, order, await world.payment(buyer, order)


async def order_of(buyer: Person, order: dict[str, Any]) -> Any:
    return data(await buyer.get(f"/orders/{order['id']}"))


async def payment_of(buyer: Person, payment: dict[str, Any]) -> Any:
    return data(await buyer.get(f"/payments/{payment['id']}"))
