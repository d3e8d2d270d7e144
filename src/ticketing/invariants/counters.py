"""Invariants of counters: places of general admission, and returned units."""

from ticketing.invariants.invariant import SETTLED, Invariant

INVARIANTS = (
    Invariant(
        "held_places_are_counted",
        "The counter of held places is the sum over active reservations.",
        """select t.id || ' has ' || t.held || ', not ' || coalesce(held.places, 0) from ticket_types t
             left join (select i.organization_id, i.ticket_type_id, sum(i.quantity) as places from reservation_items i
                          join reservations r on r.organization_id = i.organization_id and r.id = i.reservation_id
                         where r.status = 'active' and i.seat_number is null group by 1, 2) held
               on held.organization_id = t.organization_id and held.ticket_type_id = t.id
            where t.held <> coalesce(held.places, 0)""",
    ),
    Invariant(
        "sold_places_are_counted",
        "The counter of sold places is the number bought, less the number voided.",
        f"""select t.id || ' has ' || t.sold || ', not ' || coalesce(bought.places, 0) - coalesce(voided.places, 0)
             from ticket_types t
             left join (select l.organization_id, l.ticket_type_id, sum(l.quantity) as places from order_lines l
                          join orders o on o.organization_id = l.organization_id and o.id = l.order_id
                         where o.status in {SETTLED} and l.seat_number is null group by 1, 2) bought
               on bought.organization_id = t.organization_id and bought.ticket_type_id = t.id
             left join (select organization_id, ticket_type_id, count(*) as places from tickets
                         where status = 'voided' and seat_number is null group by 1, 2) voided
               on voided.organization_id = t.organization_id and voided.ticket_type_id = t.id
            where t.sold <> coalesce(bought.places, 0) - coalesce(voided.places, 0)""",  # noqa: S608
    ),
    Invariant(
        "places_are_within_capacity",
        "No more places are held and sold than the ticket type has.",
        """select id || ' has ' || held + sold || ' of ' || coalesce(capacity, 0) from ticket_types
            where held + sold > coalesce(capacity, 0) or held < 0 or sold < 0""",
    ),
    Invariant(
        "returned_units_are_voided",
        "The returned units of an item are as many as its voided tickets.",
        """select i.reservation_id || ' ' || i.position from reservation_items i
             left join (select o.organization_id, o.reservation_id, t.position, count(*) as units from tickets t
                          join orders o on o.organization_id = t.organization_id and o.id = t.order_id
                         where t.status = 'voided' group by 1, 2, 3) voided
               on voided.organization_id = i.organization_id and voided.reservation_id = i.reservation_id
              and voided.position = i.position
            where i.returned <> coalesce(voided.units, 0)""",
    ),
)
