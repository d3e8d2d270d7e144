"""For each invariant, SQL that breaks it in the database that `test_invariants` has filled.

The tests disable triggers and foreign keys; CHECK constraints and unique indexes must be dropped here by name.
"""

_ANOTHER_HOLD = """
insert into reservations (id, organization_id, event_id, user_id, status, expires_at, total_minor, currency)
select gen_random_uuid(), organization_id, event_id, user_id, 'active', now() + interval '1 minute', 4500, currency
  from reservations where status = 'confirmed' limit 1;
insert into reservation_items (organization_id, reservation_id, position, event_id, seat_number, seat_label,
                               ticket_type_id, quantity, price_minor)
select i.organization_id, r.id, 0, i.event_id, i.seat_number, i.seat_label, i.ticket_type_id, 1, 4500
  from reservation_items i join reservations r on r.created_at = now() where i.seat_label = 'Stalls-A-3' limit 1"""

SEATS = {
    "held_seat_has_its_hold": "update reservations set expires_at = expires_at + interval '1 s'",
    "sold_seat_has_its_sale": "update reservation_items set is_confirmed = false",
    "active_hold_has_its_seats": (
        "update event_seats set status = 'a', reservation_id = null, held_until = null where status = 'h'"
    ),
    "seat_has_one_owner": _ANOTHER_HOLD,
    "seat_version_counts_its_changes": "update event_seats set version = 1 where status = 's'",
    "seats_are_numbered_from_zero": "delete from event_seats where number = 6",
    "reservation_total_is_the_sum_of_its_items": "update reservation_items set price_minor = 1 where position = 0",
    "reservation_version_counts_its_changes": "update reservations set version = 0 where status = 'confirmed'",
    "items_are_confirmed_together": "update reservation_items set is_confirmed = false where seat_label = 'Stalls-A-4'",
    "ended_hold_has_an_end_time": "update reservations set ended_at = null where status = 'cancelled'",
    "hold_has_a_limit": "update reservations set expires_at = expires_at + interval '1 hour'",
    "lapsed_hold_is_expired": "update reservations set expires_at = now() - interval '61 minutes'",
}

COUNTERS = {
    "held_places_are_counted": "update ticket_types set held = held + 1 where capacity is not null",
    "sold_places_are_counted": "update ticket_types set sold = sold - 1 where capacity is not null",
    "places_are_within_capacity": (
        "alter table ticket_types drop constraint ck_ticket_types_capacity;"
        "update ticket_types set capacity = held + sold - 1 where capacity is not null"
    ),
    "returned_units_are_voided": "update reservation_items set returned = 0",
}

MONEY = {
    "order_matches_its_hold": "update orders set currency = 'USD'",
    "order_lines_match_the_items": "update order_lines set quantity = 4 where quantity = 3",
    "paid_order_has_its_hold": "update orders set status = 'pending', paid_at = null where status = 'paid'",
    "pending_order_has_its_hold": (
        "update reservations set status = 'expired', ended_at = now() - interval '2 minutes' where status = 'active'"
    ),
    "order_status_matches_its_money": "update orders set refunded_minor = 1 where status = 'paid'",
    "paid_order_has_its_payment": "delete from payments",
    "payment_pays_or_is_refunded": "update orders set paid_at = null",
    "payment_amount_matches_its_order": "update payments set amount_minor = amount_minor + 1",
    "arrived_payment_has_a_time": "update payments set arrived_at = null",
    "webhook_had_its_effect": "update payments set status = 'pending', arrived_at = null",
    "refunds_add_up": "update payments set refunded_minor = 1",
    "refund_matches_its_payment": "update refunds set currency = 'USD'",
    "order_refund_total_matches_its_refunds": (
        "update orders set refunded_minor = refunded_minor - 1 where refunded_minor > 0"
    ),
}

TICKETS = {
    "paid_order_has_its_tickets": "update orders set paid_at = now() - interval '2 minutes'; delete from check_ins;"
    " delete from tickets",
    "ticket_belongs_to_a_paid_order": "update orders set status = 'expired' where status = 'paid'",
    "ticket_matches_its_line": "update tickets set seat_label = 'Stalls-A-1' where seat_number is not null",
    "valid_ticket_has_its_seat": "update tickets set seat_number = 7 where seat_number = 3",
    "admission_is_recorded": "delete from check_ins",
    "scan_is_at_its_event": "update check_ins set event_id = gen_random_uuid()",
}

TENANTS = {
    "item_stays_in_its_event": "update reservation_items set ticket_type_id = gen_random_uuid()",
    "price_stays_in_its_event": "update category_prices set ticket_type_id = gen_random_uuid()",
    "money_stays_in_its_currency": "update events set currency = 'USD'",
    "seat_map_version_has_its_event": "update event_streams set organization_id = gen_random_uuid()",
    "organization_has_an_admin": "update members set role = 'ORG_STAFF'",
}

#: Each of these removes one of the safeguards.
REMOVED_SAFEGUARDS = {
    "trigger": "drop trigger event_seats_one_owner on event_seats",
    "trigger-off": "alter table event_seats disable trigger event_seats_sold_stays_sold",
    "check": "alter table ticket_types drop constraint ck_ticket_types_capacity",
    "index": "drop index uq_tickets_one_per_seat",
    "foreign-keys-off": "alter table tickets disable trigger all",
    "not-validated": "alter table orders add constraint ck_orders_more check (total_minor < 0) not valid",
    "row-level-security": "alter table event_seats no force row level security",
}

LOG = {
    "no_reader_is_ahead_of_the_log": "update outbox_cursor set last_id = 1000000",
    "holds_and_sales_are_in_the_log": (
        "alter table outbox disable trigger outbox_append_only; delete from outbox where topic = 'order.paid'"
    ),
    "stored_responses_can_be_replayed": "update idempotency_keys set status = 503",
}

BROKEN = {
    **SEATS,
    **COUNTERS,
    **MONEY,
    **TICKETS,
    **TENANTS,
    "safeguards_are_in_force": REMOVED_SAFEGUARDS["trigger"],
    **LOG,
}
