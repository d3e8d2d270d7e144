"""Pages of an event's seats with their current status and price.

A page follows the primary key, `number`, from the cursor on. Without filters it reads as many rows as it has; a status
or a section that few seats have makes it read on, at most the whole event once.
"""

from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import statements
from ticketing.infra.errors import Invalid
from ticketing.infra.http.fields import Money
from ticketing.infra.http.pagination import PageQuery
from ticketing.modules.events.inventory.seats import FREE
from ticketing.modules.events.models import Event
from ticketing.modules.events.schemas import SeatOut

Status = Literal["available", "held", "sold", "blocked"]

_FIELDS = (
    "number",
    "label",
    "section",
    "row",
    "seat",
    "category",
    "status",
    "x",
    "y",
    "version",
    "row_label",
    "seat_label",
)
_STATUS = f"""
case when {FREE} then 'available' when status = 'h' then 'held' when status = 's' then 'sold' else 'blocked' end"""

_SELECT = """
select e.number, e.label, p.section, p."row", p.seat, e.category, e.status, p.x, p.y, e.version,
       p.row_label, p.seat_label, t.price_minor"""
_PRICED = """
  left join category_prices c on c.organization_id = %s and c.event_id = %s and c.category = e.category
  left join ticket_types t on t.id = c.ticket_type_id
 order by e.number
 limit %s"""

# LATERAL with OFFSET 0 forces one look-up by primary key per seat. Without it, a planner whose statistics show few rows
# compares every seat with every other.
_ANY_SECTION = f"""
{_SELECT}
  from (select number, label, category, version, {_STATUS} as status from event_seats
         where organization_id = %s and event_id = %s and number > %s and (%s::text is null or {_STATUS} = %s)
         order by number
         limit %s) e
  join lateral (select section, "row", seat, x, y, row_label, seat_label from plan_seats
                 where organization_id = %s and venue_id = %s and plan_version = %s and number = e.number
                offset 0) p on true{_PRICED}"""  # noqa: S608 (only constants)
# The plan knows the section, so it leads.
_ONE_SECTION = f"""
{_SELECT}
  from (select number, section, "row", seat, x, y, row_label, seat_label from plan_seats
         where organization_id = %s and venue_id = %s and plan_version = %s and number > %s and section = %s
         order by number) p
  join lateral (select number, label, category, version, {_STATUS} as status from event_seats
                 where organization_id = %s and event_id = %s and number = p.number
                   and (%s::text is null or {_STATUS} = %s)
                offset 0) e on true{_PRICED}"""  # noqa: S608 (only constants)

_LAPSE = """
select extract(epoch from min(held_until) - now()) from event_seats
 where organization_id = %s and event_id = %s and number = any(%s::integer[]) and held_until > now()"""


async def list_seats(
    session: AsyncSession, event: Event, section: str | None, status: Status | None, page: PageQuery
) -> tuple[list[SeatOut], str | None]:
    """One page of the event's seats in order of number, and the next cursor. Raises Invalid for a wrong cursor."""
    after, rows = _after(page, event), page.limit + 1
    seats, plan = (event.organization_id, event.id), (event.organization_id, event.venue_id, event.plan_version)
    if section is None:
        found = await statements.execute(
            session, _ANY_SECTION, *seats, after, status, status, rows, *plan, *seats, rows
        )
    else:
        found = await statements.execute(
            session, _ONE_SECTION, *plan, after, section, *seats, status, status, *seats, rows
        )
    kept = [_seat(event.currency, *row) for row in await found.fetchall()]
    return page.cut(kept, lambda seat: [event.plan_version, seat.number])


async def find_lapse(session: AsyncSession, event: Event, numbers: list[int]) -> float | None:
    """Seconds from the start of the transaction until the first hold on these seats lapses; None without holds."""
    if not numbers:
        return None
    found = await statements.execute(session, _LAPSE, event.organization_id, event.id, numbers)
    ((seconds,),) = await found.fetchall()
    return None if seconds is None else float(seconds)


def _after(page: PageQuery, event: Event) -> int:
    """The number in the cursor, -1 for the first page. A cursor is of one plan: the next one numbers other seats."""
    match page.after:
        case None:
            return -1
        case [int(version), int(number)] if version == event.plan_version and 0 <= number < 2**31:
            return number
    raise Invalid("Use a cursor that an earlier page gave.", field="cursor")


def _seat(currency: str, *row: Any) -> SeatOut:
    *values, price_minor = row
    price = None if price_minor is None else Money(amount=price_minor, currency=currency)
    return SeatOut(**dict(zip(_FIELDS, values, strict=True)), price=price)
