"""What must be true of the rehearsed sale when it is over, as SQL that lists the offenders in one organization.

`ticketing check` covers the same and more for the whole database, but ignores rows younger than a minute, which the
consumers may still be processing. Here the log's readers have caught up, so every row is checked.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import statements

OFFENDERS_MAX = 5


@dataclass(frozen=True, slots=True)
class AssertionResult:
    """A sentence about the sale, some rows that contradict it, and how many there are."""

    sentence: str
    offenders: list[str]
    count: int


async def check_assertions(session: AsyncSession, organization_id: UUID) -> list[AssertionResult]:
    """Every assertion with its offenders."""
    return [await _check(session, sentence, query, organization_id) for sentence, query in _ASSERTIONS.items()]


async def _check(session: AsyncSession, sentence: str, query: str, organization_id: UUID) -> AssertionResult:
    counted = f"select o.what, count(*) over () from ({query}) o (what) limit {OFFENDERS_MAX}"  # noqa: S608 (constants)
    rows = await (await statements.execute(session, counted, organization_id)).fetchall()
    return AssertionResult(sentence, [str(what) for what, _ in rows], rows[0][1] if rows else 0)


#: Each query takes the organization's id.
_ASSERTIONS = {
    "No seat was sold twice.": """
        select min(i.seat_label) || ' was sold ' || count(*) || ' times' from reservation_items i
          join reservations r on r.organization_id = i.organization_id and r.id = i.reservation_id
         where i.organization_id = %s and i.seat_number is not null and r.status = 'confirmed'
         group by i.event_id, i.seat_number having count(*) > 1""",
    "No more places were sold than there are.": """
        select t.name || ': ' || sum(i.quantity) || ' sold of ' || t.capacity from ticket_types t
          join reservation_items i on i.organization_id = t.organization_id and i.ticket_type_id = t.id
          join reservations r on r.organization_id = i.organization_id and r.id = i.reservation_id
         where t.organization_id = %s and t.capacity is not null and r.status = 'confirmed'
         group by t.id having sum(i.quantity) > t.capacity or sum(i.quantity) <> t.sold""",
    "Every paid order has its tickets, one for each unit bought.": """
        select o.reference from orders o
         where o.organization_id = %s and o.paid_at is not null
           and (select sum(l.quantity) from order_lines l
                 where l.organization_id = o.organization_id and l.order_id = o.id)
            <> (select count(*) from tickets t where t.organization_id = o.organization_id and t.order_id = o.id)""",
    "Every payment that arrived has paid its order, or is refunded.": """
        select o.reference from payments p
          join orders o on o.organization_id = p.organization_id and o.id = p.order_id
         where p.organization_id = %s and p.arrived_at is not null
           and not (p.status = 'succeeded' and o.paid_at is not null) and p.status <> 'refunded'""",
    "No message became a dead letter.": """
        select consumer || ' ' || topic from dead_letters where organization_id = %s""",
}
