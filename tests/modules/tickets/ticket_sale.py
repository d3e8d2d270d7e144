"""A show whose tickets were sold, for the tests of tickets."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import FastAPI
from sqlalchemy import update

from tests.support.drain import drain
from tests.support.world import Person, Show, World, data
from ticketing.modules.tickets import Ticket


@dataclass
class TicketSale:
    """A show, a buyer, their paid order and its tickets."""

    app: FastAPI
    world: World
    show: Show
    buyer: Person
    order: dict[str, Any]
    tickets: list[dict[str, Any]]

    @property
    def admin(self) -> Person:
        return self.show.tenant.admin

    @property
    def code(self) -> str:
        code: str = self.tickets[0]["code"]
        return code

    def door(self, rest: str = "") -> str:
        return self.show.path(f"/check-ins{rest}")

    async def stats(self) -> dict[str, Any]:
        answer: dict[str, Any] = data(await self.admin.get(self.door("/stats")))
        return answer


async def tickets_of(person: Person, order: dict[str, Any]) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = data(await person.get(f"/orders/{order['id']}/tickets"))
    return answer


async def sell_tickets(app: FastAPI, world: World, *seats: str, standing: int = 0, **show: Any) -> TicketSale:
    """Sell tickets for these seats ("Stalls-A-1" by default), or for `standing` standing places."""
    if standing:
        show = {"seats": 0, "capacity": 50, **show}
    made = await world.show(**show)
    buyer = await world.person("buyer")
    items = [{"ticket_type_id": made.area_type_id, "quantity": standing}]
    if standing:
        order = await world.buy(buyer, made, items=items)
    else:
        order = await world.buy(buyer, made, *(seats or ("Stalls-A-1",)))
    await drain(app)
    return TicketSale(app, world, made, buyer, order, await tickets_of(buyer, order))


async def date_back(app: FastAPI, issued_at: datetime) -> None:
    """Make every ticket one that was issued at this time, so that it can have been scanned since."""
    async with app.state.worker_database.transaction() as session:
        await session.execute(update(Ticket).values(created_at=issued_at))
