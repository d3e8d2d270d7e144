"""A locked order as plain values. Every transaction that moves money locks the order first."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import DriverConnection, rows, send


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


_LOCK_EACH = f"""
select o.* from json_array_elements_text(%s::json) as w (id)
 cross join lateral ({_SELECT} where organization_id = %s and id = w.id::uuid for update skip locked) as o"""  # noqa: S608


async def lock_order_rows(
    connection: DriverConnection, organization_id: UUID, order_ids: Collection[UUID]
) -> PendingQuery[dict[UUID, LockedOrder]]:
    """Lock orders of one organization in order of their ids. Those that another transaction has locked are missing."""
    ids = rows(sorted(set(order_ids)))
    return PendingQuery(_by_id, await send(connection, _LOCK_EACH, ids, organization_id))


_WAIT_FOR_EACH = f"""
select o.* from json_array_elements_text(%s::json) as w (id)
 cross join lateral ({_SELECT} where id = w.id::uuid for update) as o"""  # noqa: S608


async def lock_orders_of_all(
    connection: DriverConnection, order_ids: Collection[UUID]
) -> PendingQuery[dict[UUID, LockedOrder]]:
    """Lock orders of any organizations in order of their ids, and wait for those that are locked; for workers."""
    return PendingQuery(_by_id, await send(connection, _WAIT_FOR_EACH, rows(sorted(set(order_ids)))))


def _by_id(found: Iterable[tuple[Any, ...]]) -> dict[UUID, LockedOrder]:
    return {row[0]: LockedOrder(*row) for row in found}


def _first(found: Sequence[tuple[Any, ...]]) -> LockedOrder | None:
    return LockedOrder(*found[0]) if found else None
