"""Choosing seats for somebody who only says how many: side by side, best first, and no lonely seat left behind."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.modules.events.areas import SoldOut
from ticketing.modules.events.models import Event
from ticketing.modules.events.seats import FREE


async def find_best_available(
    session: AsyncSession, event: Event, quantity: int, category: str | None = None, section: str | None = None
) -> list[str]:
    """Labels of the best free seats with a price, in the plan's order; nothing is locked or held yet.

    Side by side means consecutive numbers in one row of one section. A run of free seats that would be left with a
    single one is used only when there is no other; when no run is long enough, the first free seats are taken.

    Raises:
        SoldOut: there are fewer than `quantity`.
    """
    place = {"organization_id": event.organization_id, "event_id": event.id, "venue_id": event.venue_id}
    wanted = {"plan_version": event.plan_version, "quantity": quantity, "category": category, "section": section}
    labels = list((await session.execute(_BEST, {**place, **wanted})).scalars())
    if len(labels) < quantity:
        raise SoldOut(field="best_available", available=len(labels))
    return labels


# A run is a stretch of free seats whose number minus its rank among the free ones of the row stays the same. Of the
# runs that are long enough the first in the plan wins, after those that would not be left with one lonely seat.
_BEST = text(f"""
with free as (
    select e.number, e.label, p.section, p."row",
           e.number - row_number() over (partition by p.section, p."row" order by e.number) as run
      from event_seats e
      join plan_seats p on p.organization_id = e.organization_id and p.venue_id = :venue_id
                       and p.plan_version = :plan_version and p.number = e.number
      join category_prices c on c.organization_id = e.organization_id and c.event_id = e.event_id
                            and c.category = e.category
     where e.organization_id = :organization_id and e.event_id = :event_id and {FREE}
       and (cast(:category as text) is null or e.category = :category)
       and (cast(:section as text) is null or p.section = :section)),
runs as (
    select section, "row", run, min(number) as first_number, count(*) as seats from free
     group by section, "row", run having count(*) >= :quantity),
best as (
    select first_number from runs order by seats = :quantity + 1, first_number limit 1)
select label from free
 where number >= coalesce((select first_number from best), 0)
 order by number limit :quantity""")  # noqa: S608 (only constants)
