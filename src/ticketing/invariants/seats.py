"""What has to be true of seats and of the holds on them."""

from ticketing.invariants.invariant import Invariant

_ITEMS = """reservation_items i join reservations r
                on r.organization_id = i.organization_id and r.id = i.reservation_id"""
_LIVE = "(i.is_confirmed or r.status = 'active' and r.expires_at > now())"

INVARIANTS = (
    Invariant(
        "held_seat_has_its_hold",
        "A held seat is an item of an active reservation that ends when the seat says.",
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
        "running_hold_has_its_seats",
        "A reservation that still runs holds each of its seats, and a confirmed item has its seat.",
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
        "taken_seat_was_counted",
        "Each change of a seat has raised its version: one that is held changed once, one that is sold twice.",
        """select event_id || ' ' || label from event_seats
            where status = 'h' and version < 1 or status = 's' and version < 2""",
    ),
    Invariant(
        "seats_are_numbered_from_zero",
        "The seats of an event are numbered from 0 without a gap, as the map shows them.",
        """select event_id || ' has ' || count(*) || ' from ' || min(number) || ' to ' || max(number) from event_seats
            group by organization_id, event_id having min(number) <> 0 or max(number) <> count(*) - 1""",
    ),
    Invariant(
        "reservation_adds_up",
        "A reservation has items, and its total is what they cost.",
        """select r.id::text from reservations r
             left join (select organization_id, reservation_id, sum(price_minor * quantity) as total
                          from reservation_items group by 1, 2) i
               on i.organization_id = r.organization_id and i.reservation_id = r.id
            where i.total is distinct from r.total_minor""",
    ),
    Invariant(
        "reservation_was_counted",
        "Each change of a reservation has raised its version.",
        "select id::text from reservations where version < extensions + (status <> 'active')::integer",
    ),
    Invariant(
        "items_are_confirmed_together",
        "The items of a confirmed reservation are confirmed, less the seats that came back; no others are.",
        f"""select r.id || ' ' || i.position from {_ITEMS}
            where i.is_confirmed <> (r.status = 'confirmed' and (i.seat_number is null or i.returned = 0))
               or i.returned > 0 and r.status <> 'confirmed'""",  # noqa: S608
    ),
    Invariant(
        "end_of_a_hold_is_dated",
        "A reservation that has expired or was cancelled says when, and one that is active has not ended.",
        """select id::text from reservations
            where status = 'active' and ended_at is not null
               or status in ('expired', 'cancelled') and ended_at is null""",
    ),
    Invariant(
        "hold_has_a_limit",
        "No hold is longer than an hour, and an hour for each extension.",
        """select id::text from reservations
            where expires_at > created_at + (1 + extensions) * make_interval(secs => :hold_seconds_max)""",
    ),
    Invariant(
        "lapsed_hold_is_swept",
        "A reservation that ran out an hour ago is not active any more, of a cancelled event least of all.",
        """select id::text from reservations
            where status = 'active' and expires_at < now() - make_interval(secs => :swept_seconds)""",
    ),
)
