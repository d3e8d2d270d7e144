"""Invariants of tickets and check-ins."""

from ticketing.invariants.invariant import SETTLED, SETTLING_SECONDS, Invariant

INVARIANTS = (
    Invariant(
        "paid_order_has_its_tickets",
        "An order paid more than a minute ago has a ticket for each unit bought, including voided ones.",
        f"""select o.reference from orders o
             left join (select organization_id, order_id, sum(quantity) as units from order_lines group by 1, 2) l
               on l.organization_id = o.organization_id and l.order_id = o.id
             left join (select organization_id, order_id, count(*) as units from tickets group by 1, 2) t
               on t.organization_id = o.organization_id and t.order_id = o.id
            where o.paid_at < now() - make_interval(secs => {SETTLING_SECONDS}) and l.units is distinct from t.units""",  # noqa: S608
    ),
    Invariant(
        "ticket_belongs_to_a_paid_order",
        "A ticket belongs to an order that was paid.",
        f"""select t.id::text from tickets t
             join orders o on o.organization_id = t.organization_id and o.id = t.order_id
            where o.status not in {SETTLED}""",  # noqa: S608
    ),
    Invariant(
        "ticket_matches_its_line",
        "A ticket has the event of its order, and the seat and the ticket type of its order line.",
        """select t.id::text from tickets t
             join orders o on o.organization_id = t.organization_id and o.id = t.order_id
             left join order_lines l
               on l.organization_id = t.organization_id and l.order_id = t.order_id and l.position = t.position
            where t.event_id <> o.event_id or l.position is null or t.unit not between 1 and l.quantity
               or (t.seat_number, t.seat_label, t.ticket_type_id)
                  is distinct from (l.seat_number, l.seat_label, l.ticket_type_id)""",
    ),
    Invariant(
        "valid_ticket_has_its_seat",
        "A ticket for a seat that is not voided has its seat, which is sold to the same order.",
        """select t.id::text from tickets t join orders o on o.organization_id = t.organization_id and o.id = t.order_id
             left join event_seats s on s.organization_id = t.organization_id and s.event_id = t.event_id
              and s.number = t.seat_number and s.status = 's' and s.reservation_id = o.reservation_id
            where t.seat_number is not null and t.status <> 'voided' and s.number is null""",
    ),
    Invariant(
        "admission_is_recorded",
        "A ticket is checked in exactly if a scan has admitted it.",
        """select t.id::text from tickets t
             left join check_ins c on c.organization_id = t.organization_id and c.ticket_id = t.id
                                  and c.result = 'admitted'
            where (t.status = 'checked_in' and c.id is null) or (t.status = 'issued' and c.id is not null)""",
    ),
    Invariant(
        "scan_is_at_its_event",
        "A scan belongs to the event of its ticket.",
        """select c.id::text from check_ins c
             left join tickets t on t.organization_id = c.organization_id and t.id = c.ticket_id
            where t.event_id is distinct from c.event_id""",
    ),
)
