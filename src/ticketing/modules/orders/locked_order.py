"""An order as plain values, locked: with it begins every path on which money moves."""

from typing import NamedTuple
from uuid import UUID

from ticketing.infra.db.pipeline import Cursor, DriverConnection, send


class LockedOrder(NamedTuple):
    """An order that is locked until the transaction ends; `total_minor` is in minor units of `currency`."""

    id: UUID
    organization_id: UUID
    event_id: UUID
    reservation_id: UUID
    user_id: UUID
    reference: str
    status: str
    buyer_name: str
    total_minor: int
    currency: str

    @classmethod
    async def ask(cls, connection: DriverConnection, which: str, *values: object) -> Cursor:
        """Lock the order that `which` means: what stands after `id =`, with a `%s` for each value."""
        return await send(connection, f"{_SELECT} where id = {which} for update", *values)

    @classmethod
    async def read(cls, answer: Cursor) -> "LockedOrder | None":
        """None when there is no such order, or it is out of reach."""
        row = await answer.fetchone()
        return cls(*row) if row is not None else None


_SELECT = f"select {', '.join(LockedOrder._fields)} from orders"  # noqa: S608 (only our own names)
