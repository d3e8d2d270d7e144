"""Block seats from sale."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.db import statements
from ticketing.infra.errors import Conflict
from ticketing.modules import organizations
from ticketing.modules.events.inventory.seats import FREE, SeatTaken, SeatUnknown
from ticketing.modules.events.messages import SeatsBlocked, SeatsMessage, SeatsUnblocked
from ticketing.modules.events.models import Event


class SeatNotBlocked(Conflict):
    """One of these seats is not blocked."""

    code = "seat_not_blocked"


_LOCK = f"""
select number, label, status, {FREE} from event_seats
 where organization_id = %s and event_id = %s and label = any(%s::text[])
 order by number for update"""  # noqa: S608 (only constants)
_SET = """
update event_seats set status = %s, reservation_id = null, held_until = null, version = version + 1
 where organization_id = %s and event_id = %s and number = any(%s::integer[])"""


class _LockedSeat(NamedTuple):
    number: int
    label: str
    status: str
    is_free: bool


async def block_seats(session: AsyncSession, access: organizations.Access, event: Event, labels: Sequence[str]) -> None:
    """Take available seats off sale, all or none.

    Raises:
        SeatUnknown, SeatTaken: with the labels, under `seats`.
    """
    numbers = await _change(session, event, labels, is_blocking=True)
    _announce(session, access, event, labels, SeatsBlocked(**event.ids, seat_numbers=numbers))


async def unblock_seats(
    session: AsyncSession, access: organizations.Access, event: Event, labels: Sequence[str]
) -> None:
    """Put blocked seats back on sale, all or none.

    Raises:
        SeatUnknown, SeatNotBlocked: with the labels, under `seats`.
    """
    numbers = await _change(session, event, labels, is_blocking=False)
    _announce(session, access, event, labels, SeatsUnblocked(**event.ids, seat_numbers=numbers))


async def _change(session: AsyncSession, event: Event, labels: Sequence[str], *, is_blocking: bool) -> list[int]:
    # Waits for holds in progress: they lock in the same order and are short.
    locked = await statements.execute(session, _LOCK, event.organization_id, event.id, list(labels))
    rows = [_LockedSeat(*row) for row in await locked.fetchall()]
    found = {row.label for row in rows}
    if unknown := [label for label in labels if label not in found]:
        raise SeatUnknown(field="seats", seats=unknown)
    if wrong := [row.label for row in rows if not (row.is_free if is_blocking else row.status == "b")]:
        raise (SeatTaken if is_blocking else SeatNotBlocked)(field="seats", seats=wrong)
    numbers = [row.number for row in rows]
    status = "b" if is_blocking else "a"
    await statements.execute(session, _SET, status, event.organization_id, event.id, numbers)
    return numbers


def _announce(
    session: AsyncSession, access: organizations.Access, event: Event, labels: Sequence[str], message: SeatsMessage
) -> None:
    organizations.record(session, access, message.topic, f"event:{event.id}", None, {"seats": list(labels)})
    outbox.publish(session, message)
