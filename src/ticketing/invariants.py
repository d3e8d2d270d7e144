"""What has to be true of the data at any moment, as SQL that lists the offenders: `ticketing check`."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

#: So many offenders are named; a person needs some to look at, not all.
NAMED_MAX = 5
#: Consumers need a moment: what is younger than this may be on its way.
SETTLING_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Invariant:
    """A sentence about the data, and a query for what contradicts it: one text column."""

    name: str
    sentence: str
    offenders: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many offenders there are, and some of them."""

    invariant: Invariant
    count: int
    named: list[str]


INVARIANTS = (
    Invariant(
        "held_seat_has_its_hold",
        "A held seat is an item of an active reservation that ends when the seat says.",
        """select s.event_id || ' ' || s.label from event_seats s
            where s.status = 'h' and not exists (
                  select from reservations r join reservation_items i
                      on i.organization_id = r.organization_id and i.reservation_id = r.id
                   where r.id = s.reservation_id and r.status = 'active' and r.expires_at = s.held_until
                     and i.event_id = s.event_id and i.seat_number = s.number)""",
    ),
    Invariant(
        "sold_seat_has_its_sale",
        "A sold seat is a confirmed item of a confirmed reservation.",
        """select s.event_id || ' ' || s.label from event_seats s
            where s.status = 's' and not exists (
                  select from reservations r join reservation_items i
                      on i.organization_id = r.organization_id and i.reservation_id = r.id
                   where r.id = s.reservation_id and r.status = 'confirmed' and i.is_confirmed
                     and i.event_id = s.event_id and i.seat_number = s.number)""",
    ),
    Invariant(
        "running_hold_has_its_seats",
        "A reservation that still runs holds each of its seats, and a confirmed item has its seat.",
        """select r.id || ' ' || i.seat_label from reservations r
             join reservation_items i on i.organization_id = r.organization_id and i.reservation_id = r.id
             left join event_seats s on s.organization_id = i.organization_id and s.event_id = i.event_id
                                    and s.number = i.seat_number and s.reservation_id = r.id
            where i.seat_number is not null
              and (r.status = 'active' and r.expires_at > now() and s.status is distinct from 'h'
                   or i.is_confirmed and s.status is distinct from 's')""",
    ),
    Invariant(
        "held_places_are_counted",
        "A counter of held places is the sum of the active reservations.",
        """select t.id || ' has ' || t.held || ', not ' || coalesce(sum(i.quantity), 0) from ticket_types t
             left join (reservation_items i join reservations r
                           on r.organization_id = i.organization_id and r.id = i.reservation_id
                          and r.status = 'active')
               on i.organization_id = t.organization_id and i.ticket_type_id = t.id and i.seat_number is null
            where t.capacity is not null
            group by t.id having t.held <> coalesce(sum(i.quantity), 0)""",
    ),
    Invariant(
        "sold_places_are_counted",
        "A counter of sold places is what was bought, less what was voided.",
        """select t.id || ' has ' || t.sold || ', not ' || (bought.count - voided.count) from ticket_types t,
                  lateral (select coalesce(sum(l.quantity), 0) as count from order_lines l
                             join orders o on o.organization_id = l.organization_id and o.id = l.order_id
                            where l.organization_id = t.organization_id and l.ticket_type_id = t.id
                              and o.status in ('paid', 'partially_refunded', 'refunded')) bought,
                  lateral (select count(*) from tickets k where k.organization_id = t.organization_id
                              and k.ticket_type_id = t.id and k.status = 'voided') voided
            where t.capacity is not null and t.sold <> bought.count - voided.count""",
    ),
    Invariant(
        "paid_order_has_its_tickets",
        "An order that was paid a minute ago has a ticket for each thing bought, voided ones included.",
        f"""select o.reference from orders o
             where o.paid_at < now() - interval '{SETTLING_SECONDS} seconds'
               and (select sum(l.quantity) from order_lines l
                     where l.organization_id = o.organization_id and l.order_id = o.id)
                <> (select count(*) from tickets t
                     where t.organization_id = o.organization_id and t.order_id = o.id)""",  # noqa: S608 (a constant)
    ),
    Invariant(
        "live_ticket_has_its_seat",
        "A ticket for a seat, unless voided, has that seat, sold to its own order.",
        """select t.id::text from tickets t join orders o on o.organization_id = t.organization_id and o.id = t.order_id
            where t.seat_number is not null and t.status <> 'voided' and not exists (
                  select from event_seats s where s.organization_id = t.organization_id and s.event_id = t.event_id
                     and s.number = t.seat_number and s.status = 's' and s.reservation_id = o.reservation_id)""",
    ),
    Invariant(
        "returned_units_are_voided",
        "What an item says was given back is the number of its voided tickets.",
        """select i.reservation_id || ' ' || i.position from reservation_items i
             left join (select o.organization_id, o.reservation_id, t.position, count(*) as units from tickets t
                          join orders o on o.organization_id = t.organization_id and o.id = t.order_id
                         where t.status = 'voided' group by 1, 2, 3) voided
               on voided.organization_id = i.organization_id and voided.reservation_id = i.reservation_id
              and voided.position = i.position
            where i.returned <> coalesce(voided.units, 0)""",
    ),
    Invariant(
        "money_pays_or_goes_back",
        "A payment that arrived has paid its order, or all of it is going back.",
        """select p.id::text from payments p
             join orders o on o.organization_id = p.organization_id and o.id = p.order_id
            where p.status = 'succeeded' and o.paid_at is null
               or p.status = 'refunded' and p.refunded_minor <> p.amount_minor""",
    ),
    Invariant(
        "refunds_add_up",
        "What a payment says goes back is the sum of its refunds.",
        """select p.id::text from payments p left join refunds r
               on r.organization_id = p.organization_id and r.payment_id = p.id and r.status <> 'failed'
            group by p.id having p.refunded_minor <> coalesce(sum(r.amount_minor), 0)""",
    ),
    Invariant(
        "admission_is_recorded",
        "A ticket is checked in exactly when one scan admitted it.",
        """select t.id::text from tickets t left join check_ins c on c.ticket_id = t.id and c.result = 'admitted'
            where (t.status = 'checked_in' and c.id is null) or (t.status = 'issued' and c.id is not null)""",
    ),
    Invariant(
        "readers_are_behind_the_log",
        "No reader's cursor is ahead of the log.",
        """select reader from outbox_cursor
            where window_from > pg_snapshot_xmax(pg_current_snapshot())
               or last_id > coalesce((select max(id) from outbox), 0)""",
    ),
)


async def check(session: AsyncSession) -> list[Verdict]:
    """Every invariant, in one snapshot of the database; it locks nothing and changes nothing."""
    await session.execute(text("set transaction isolation level repeatable read, read only"))
    return [await _judge(session, invariant) for invariant in INVARIANTS]


async def _judge(session: AsyncSession, invariant: Invariant) -> Verdict:
    query = text(f"select count(*) over (), o.* from ({invariant.offenders}) o (what) limit {NAMED_MAX}")  # noqa: S608
    rows = (await session.execute(query)).all()
    return Verdict(invariant, rows[0][0] if rows else 0, [str(row.what) for row in rows])
