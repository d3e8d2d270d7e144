"""Mark the orders of a batch of payments paid: the set-based form of `service.pay_order`, for the usual case."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from ticketing.infra import outbox
from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import DriverConnection, rows, send
from ticketing.modules import events, reservations
from ticketing.modules.orders.locked_order import LockedOrder
from ticketing.modules.orders.messages import OrderPaid
from ticketing.modules.orders.models import OrderStatus

_SELECT_EVENTS = """
select w.id::uuid, e.status from json_array_elements_text(%s::json) as w (id)
 cross join lateral (select event_id from orders where organization_id = %s and id = w.id::uuid offset 0) as o
 cross join lateral (select status from events where id = o.event_id offset 0) as e"""

_MARK_PAID = "update orders set status = 'paid', paid_at = now() where id = any(%s::uuid[])"


class UsualSale(NamedTuple):
    """A locked pending order of a published event, whose locked hold runs for a while yet."""

    order: LockedOrder
    hold: reservations.HoldRow
    items: Sequence[reservations.HeldItem]


class PendingSales(NamedTuple):
    """The locked holds of a batch of orders, and the statuses of their events, by order."""

    holds: PendingQuery[dict[UUID, tuple[reservations.HoldRow, list[reservations.HeldItem]]]]
    event_statuses: PendingQuery[dict[UUID, str]]

    async def fetch_usual(self, orders: Mapping[UUID, LockedOrder]) -> dict[UUID, UsualSale]:
        """The sales of these locked orders that need none of the checks of `sale_checks`, by order."""
        holds, statuses = await self.holds.fetch(), await self.event_statuses.fetch()
        sales = {}
        for order_id, order in orders.items():
            held = holds.get(order.reservation_id)
            if held is None or order.status != OrderStatus.PENDING:
                continue
            # Of a hold that is not ending, no other transaction can count the places as free.
            if statuses.get(order_id) == events.EventStatus.PUBLISHED and held[0].is_running and not held[0].is_ending:
                sales[order_id] = UsualSale(order, *held)
        return sales


async def lock_sales(
    connection: DriverConnection, organization_id: UUID, reservation_ids: Mapping[UUID, UUID]
) -> PendingSales:
    """Lock the reservations of orders that are locked already, given by order."""
    holds = await reservations.lock_holds(connection, organization_id, reservation_ids.values())
    statuses = await send(connection, _SELECT_EVENTS, rows(list(reservation_ids)), organization_id)
    return PendingSales(holds, PendingQuery(dict, statuses))


async def pay_orders(connection: DriverConnection, organization_id: UUID, sales: Sequence[UsualSale]) -> None:
    """Sell what the orders' holds have, in the round trip of the caller. The transaction fails if anything is gone."""
    await send(connection, _MARK_PAID, [sale.order.id for sale in sales])
    await reservations.confirm_holds(connection, organization_id, [(sale.hold, sale.items) for sale in sales])


def paid_messages(sale: UsualSale) -> list[outbox.Message]:
    """The messages about a sale, in their order."""
    return [reservations.confirmed_message(sale.hold, sale.items), OrderPaid.of(sale.order)]
