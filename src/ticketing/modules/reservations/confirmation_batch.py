"""Confirm the running holds of a batch of payments: the set-based form of `confirmation.confirm`.

The caller has locked the reservations with `lock_holds`, and each of them is running.
"""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from ticketing.infra.db.pipeline import DriverConnection, rows, send
from ticketing.modules import events
from ticketing.modules.reservations.items import HeldItem, HoldRow, message_fields, places
from ticketing.modules.reservations.messages import ReservationConfirmed

_CONFIRM = """
with sold as (
    update reservations r set status = 'confirmed', version = r.version + 1
      from json_array_elements_text(%s::json) as w (id)
     where r.organization_id = %s and r.id = w.id::uuid and r.status = 'active'
 returning r.organization_id, r.id),
confirmed as (
    update reservation_items i set is_confirmed = true from sold
     where i.organization_id = sold.organization_id and i.reservation_id = sold.id)
select 1 / cast(count(*) = %s as integer) from sold"""


async def confirm_holds(
    connection: DriverConnection, organization_id: UUID, holds: Sequence[tuple[HoldRow, Sequence[HeldItem]]]
) -> None:
    """Sell what the reservations hold, in the round trip of the caller. The transaction fails if something is gone."""
    seats: list[events.SeatSale] = [
        {"event_id": hold.event_id, "number": item.seat_number, "reservation_id": hold.id}
        for hold, items in holds
        for item in items
        if item.seat_number is not None
    ]
    await events.sell_held(connection, organization_id, seats)
    await send(connection, _CONFIRM, rows([hold.id for hold, _ in holds]), organization_id, len(holds))
    wanted = Counter[UUID]()
    for _, items in holds:
        wanted.update(places(items))
    if wanted:  # the last rows that are locked
        await events.sell_places(connection, organization_id, wanted)


def confirmed_message(hold: HoldRow, items: Sequence[HeldItem]) -> ReservationConfirmed:
    """The message about a hold that is confirmed while it runs."""
    return ReservationConfirmed(**message_fields(hold, items), is_late=False)
