"""Invariants of seats and of the holds on them."""

from ticketing.invariants.invariant import EXPIRY_SECONDS, HOLD_SECONDS_MAX, Invariant

_ITEMS = """reservation_items i join reservations r
                on r.organization_id = i.organization_id and r.id = i.reservation_id"""
_LIVE = "(i.is_confirmed or r.status = 'active' and r.expires_at > now())"

INVARIANTS = (
    Invariant(
        "held_seat_has_its_hold",
        "A held seat is an item of an active reservation, with the same expiry time.",
        f"""select s.event_id || ' ' || s.label from event_seats s
            where s.status = 'h' and not exists (
                  select from {_ITEMS}
                   where s.organization_id = i.organization_id and s.event_id = i.event_id and s.number = i.seat_number
                     and s.reservation_id = r.id and r.status = 'active' and r.expires_at = s.held_until)""",  # noqa: S608
    ),
    Invariant(
        "sold_seat_has_its_sale",
        "A sold seat is a confirmed item of a confirmed reservation.",
        f"""select s.event_id || ' ' || s.label from event_seats s
            where s.status = 's' and not exists (
                  select from {_ITEMS}
                   where s.organization_id = i.organization_id and s.event_id = i.event_id and s.number = i.seat_number
                     and s.reservation_id = r.id and r.status = 'confirmed' and i.is_confirmed)""",  # noqa: S608
    ),
    Invariant(
        "active_hold_has_its_seats",
        "An active reservation holds each of its seats, and each confirmed item has its seat.",
        f"""select r.id || ' ' || i.seat_label from {_ITEMS}
             left join event_seats s on s.organization_id = i.organization_id and s.event_id = i.event_id
                   and s.number = i.seat_number and s.reservation_id = r.id and s.label = i.seat_label
                   and s.status = case when i.is_confirmed then 's' else 'h' end
            where i.seat_number is not null and {_LIVE} and s.number is null""",  # noqa: S608
    ),
    Invariant(
        "seat_has_one_owner",
        "No seat is in two live reservations.",
        f"""select i.event_id || ' ' || min(i.seat_label) || ' is in ' || count(*) from {_ITEMS}
            where i.seat_number is not null and {_LIVE}
            group by i.organization_id, i.event_id, i.seat_number having count(*) > 1""",  # noqa: S608
    ),
    Invariant(
        "seat_version_counts_its_changes",
        "Each change of a seat has incremented its version: at least 1 if held, at least 2 if sold.",
        """select event_id || ' ' || label from event_seats
            where status = 'h' and version < 1 or status = 's' and version < 2""",
    ),
    Invariant(
        "seats_are_numbered_from_zero",
        "The seats of an event are numbered from 0 without gaps, or else exactly as its version of the plan.",
        """select s.event_id || ' has ' || s.count || ' from ' || s.first || ' to ' || s.last
             from (select organization_id, event_id, count(*) as count, min(number) as first, max(number) as last
                     from event_seats group by organization_id, event_id
                   having min(number) <> 0 or max(number) <> count(*) - 1) s
             join events e on e.organization_id = s.organization_id and e.id = s.event_id
            where (s.count, s.count) <> (select count(*), count(i.number) from plan_seats p
                                           left join event_seats i on i.organization_id = s.organization_id
                                            and i.event_id = s.event_id and i.number = p.number and i.label = p.label
                                          where p.organization_id = e.organization_id and p.venue_id = e.venue_id
                                            and p.plan_version = e.plan_version)""",
    ),
    Invariant(
        "reservation_total_is_the_sum_of_its_items",
        "A reservation has items, and its total is the sum of their prices.",
        """select r.id::text from reservations r
             left join (select organization_id, reservation_id, sum(price_minor * quantity) as total
                          from reservation_items group by 1, 2) i
               on i.organization_id = r.organization_id and i.reservation_id = r.id
            where i.total is distinct from r.total_minor""",
    ),
    Invariant(
        "reservation_version_counts_its_changes",
        "Each change of a reservation has incremented its version.",
        "select id::text from reservations where version < extensions + (status <> 'active')::integer",
    ),
    Invariant(
        "items_are_confirmed_together",
        "The items of confirmed reservations are confirmed, except returned seats; no other items are.",
        f"""select r.id || ' ' || i.position from {_ITEMS}
            where i.is_confirmed <> (r.status = 'confirmed' and (i.seat_number is null or i.returned = 0))
               or i.returned > 0 and r.status <> 'confirmed'""",  # noqa: S608
    ),
    Invariant(
        "ended_hold_has_an_end_time",
        "A reservation has an end time exactly if it has expired or was cancelled.",
        """select id::text from reservations
            where status = 'active' and ended_at is not null
               or status in ('expired', 'cancelled') and ended_at is null""",
    ),
    Invariant(
        "hold_has_a_limit",
        "No hold is longer than an hour, plus an hour for each extension.",
        f"""select id::text from reservations
            where expires_at > created_at + (1 + extensions) * make_interval(secs => {HOLD_SECONDS_MAX})""",  # noqa: S608
    ),
    Invariant(
        "lapsed_hold_is_expired",
        "No reservation is active an hour after its expiry time.",
        f"""select id::text from reservations
            where status = 'active' and expires_at < now() - make_interval(secs => {EXPIRY_SECONDS})""",  # noqa: S608
    ),
)
