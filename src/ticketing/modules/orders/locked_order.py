"""A locked order as plain values. Every transaction that moves money locks the order first."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import DriverConnection, send


class LockedOrder(NamedTuple):
    """An order locked until the transaction ends. `total_minor` is in minor units of `currency`."""

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


_SELECT = f"select {', '.join(LockedOrder._fields)} from orders"  # noqa: S608 (constant column names)


async def lock_order_row(connection: DriverConnection, which: str, *values: object) -> PendingQuery[LockedOrder | None]:
    """Lock an order until the transaction ends; None when it is unknown, or hidden by row-level security.

    `which` is the SQL expression that the order's id equals, with a `%s` for each value.
    """
    return PendingQuery(_first, await send(connection, f"{_SELECT} where id = {which} for update", *values))


def _first(found: Sequence[tuple[Any, ...]]) -> LockedOrder | None:
    return LockedOrder(*found[0]) if found else None
