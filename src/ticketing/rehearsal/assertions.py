"""What has to be true of the rehearsed sale when it is over, as SQL that lists the offenders of one organization.

`ticketing check` asks the same and more of the whole database, but leaves out what is younger than a minute; here the
readers of the log are done, so nothing has an excuse.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

NAMED_MAX = 5


@dataclass(frozen=True, slots=True)
class Proof:
    """A sentence about the sale, and what contradicts it."""

    sentence: str
    offenders: list[str]
    count: int


async def prove(session: AsyncSession, organization_id: UUID) -> list[Proof]:
    """Every proof, with how many offenders it has, and some of them."""
    return [await _prove(session, sentence, query, organization_id) for sentence, query in _PROOFS.items()]


async def _prove(session: AsyncSession, sentence: str, query: str, organization_id: UUID) -> Proof:
    counted = text(f"select count(*) over (), o.* from ({query}) o (what) limit {NAMED_MAX}")  # noqa: S608 (ours)
    rows = (await session.execute(counted, {"organization_id": organization_id})).all()
    return Proof(sentence, [str(row.what) for row in rows], rows[0][0] if rows else 0)


_PROOFS = {
    "No seat was sold twice.": """
        select min(i.seat_label) || ' was sold ' || count(*) || ' times' from reservation_items i
          join reservations r on r.organization_id = i.organization_id and r.id = i.reservation_id
         where i.organization_id = :organization_id and i.seat_number is not null and r.status = 'confirmed'
         group by i.event_id, i.seat_number having count(*) > 1""",
    "No place was sold that is not there.": """
        select t.name || ': ' || sum(i.quantity) || ' sold of ' || t.capacity from ticket_types t
          join reservation_items i on i.organization_id = t.organization_id and i.ticket_type_id = t.id
          join reservations r on r.organization_id = i.organization_id and r.id = i.reservation_id
         where t.organization_id = :organization_id and t.capacity is not null and r.status = 'confirmed'
         group by t.id having sum(i.quantity) > t.capacity or sum(i.quantity) <> t.sold""",
    "Every paid order has its tickets, one for each thing bought.": """
        select o.reference from orders o
         where o.organization_id = :organization_id and o.paid_at is not null
           and (select sum(l.quantity) from order_lines l
                 where l.organization_id = o.organization_id and l.order_id = o.id)
            <> (select count(*) from tickets t where t.organization_id = o.organization_id and t.order_id = o.id)""",
    "Nobody paid for nothing: money that arrived has paid an order, or goes back.": """
        select o.reference from payments p
          join orders o on o.organization_id = p.organization_id and o.id = p.order_id
         where p.organization_id = :organization_id and p.arrived_at is not null
           and not (p.status = 'succeeded' and o.paid_at is not null) and p.status <> 'refunded'""",
    "Nothing became a dead letter.": """
        select consumer || ' ' || topic from dead_letters where organization_id = :organization_id""",
}
