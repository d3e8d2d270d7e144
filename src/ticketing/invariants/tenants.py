"""Invariants of the separation of tenants and of events, and of the safeguards in the database."""

from ticketing.invariants.invariant import Invariant

#: Triggers, constraints and indexes that prevent a faulty line of Python from selling a seat twice.
_SAFEGUARDS = (
    "event_seats_one_owner",
    "event_seats_sold_stays_sold",
    "outbox_append_only",
    "audit_log_append_only",
    "ck_event_seats_owner",
    "ck_event_seats_held_until",
    "ck_ticket_types_capacity",
    "ck_ticket_types_counters",
    "uq_reservation_items_confirmed_seat",
    "uq_orders_organization_id_reservation_id",
    "uq_payments_one_open",
    "uq_payments_one_success",
    "uq_tickets_one_per_seat",
    "uq_check_ins_one_admission",
)
_NAMES = ", ".join(f"('{name}')" for name in _SAFEGUARDS)

INVARIANTS = (
    Invariant(
        "item_stays_in_its_event",
        "An item of a reservation belongs to the reservation's event, and so does its ticket type.",
        """select i.reservation_id || ' ' || i.position from reservation_items i
             join reservations r on r.organization_id = i.organization_id and r.id = i.reservation_id
             left join ticket_types t on t.organization_id = i.organization_id and t.id = i.ticket_type_id
            where i.event_id <> r.event_id or t.event_id is distinct from r.event_id
               or (t.capacity is null) <> (i.seat_number is not null)""",
    ),
    Invariant(
        "price_stays_in_its_event",
        "A seat category is priced by a ticket type of the same event that is not for general admission.",
        """select p.event_id || ' ' || p.category from category_prices p
             left join ticket_types t on t.organization_id = p.organization_id and t.id = p.ticket_type_id
            where t.event_id is distinct from p.event_id or t.capacity is not null""",
    ),
    Invariant(
        "money_stays_in_its_currency",
        "A reservation has the currency of its event.",
        """select r.id::text from reservations r
             join events e on e.organization_id = r.organization_id and e.id = r.event_id
            where r.currency <> e.currency""",
    ),
    Invariant(
        "seat_map_version_has_its_event",
        "The version of a seat map belongs to an event of the same organization.",
        """select s.event_id::text from event_streams s
             left join events e on e.organization_id = s.organization_id and e.id = s.event_id
            where e.id is null or s.version < 0""",
    ),
    Invariant(
        "organization_has_an_admin",
        "Every organization has an administrator.",
        """select o.id || ' ' || o.slug from organizations o where not exists (
                  select from members m where m.organization_id = o.id and m.role = 'ORG_ADMIN')""",
    ),
    Invariant(
        "safeguards_are_in_force",
        "The triggers, constraints, indexes and row-level security that protect the data exist and are enabled.",
        f"""select 'no ' || w.name from (values {_NAMES}) w (name) where not exists (
                  select from pg_trigger g where g.tgname = w.name union all
                  select from pg_constraint c where c.conname = w.name union all
                  select from pg_class i where i.relname = w.name)
            union all
            select 'disabled ' || tgname from pg_trigger where tgenabled not in ('O', 'A')
            union all
            select 'not validated ' || conname from pg_constraint where not convalidated
            union all
            select 'invalid ' || indexrelid::regclass from pg_index where not indisvalid
            union all
            select 'no row-level security on ' || c.relname from pg_class c
              join pg_attribute a on a.attrelid = c.oid and a.attname = 'organization_id' and not a.attisdropped
             where c.relkind in ('r', 'p') and not c.relispartition and c.relnamespace = 'public'::regnamespace
               and not (c.relrowsecurity and c.relforcerowsecurity)""",  # noqa: S608
    ),
)
