"""Invariants of orders, payments and refunds."""

from ticketing.invariants.invariant import SETTLED, SETTLING_SECONDS, Invariant

ORDERS = (
    Invariant(
        "order_matches_its_hold",
        "An order has the event, the buyer, the total and the currency of its reservation.",
        """select o.reference from orders o
             join reservations r on r.organization_id = o.organization_id and r.id = o.reservation_id
            where (o.event_id, o.user_id, o.total_minor, o.currency)
                  <> (r.event_id, r.user_id, r.total_minor, r.currency)""",
    ),
    Invariant(
        "order_lines_match_the_items",
        "An order has a line for each item of its reservation, with the same seat, type, quantity and price.",
        """select coalesce(held.reference, l.order_id::text) || ' ' || coalesce(held.position, l.position)
             from (select o.reference, o.id, i.* from orders o join reservation_items i
                       on i.organization_id = o.organization_id and i.reservation_id = o.reservation_id) held
             full join order_lines l on l.organization_id = held.organization_id and l.order_id = held.id
                                    and l.position = held.position
            where (l.seat_number, l.seat_label, l.ticket_type_id, l.quantity, l.price_minor)
                  is distinct from
                  (held.seat_number, held.seat_label, held.ticket_type_id, held.quantity, held.price_minor)""",
    ),
    Invariant(
        "paid_order_has_its_hold",
        "A reservation is confirmed exactly when its order was paid.",
        f"""select coalesce(o.reference, r.id::text) from reservations r
             left join orders o on o.organization_id = r.organization_id and o.reservation_id = r.id
            where (r.status = 'confirmed') <> (o.status is not null and o.status in {SETTLED})""",  # noqa: S608
    ),
    Invariant(
        "pending_order_has_its_hold",
        "No order is pending for more than a minute after its reservation has ended.",
        f"""select o.reference from orders o
             join reservations r on r.organization_id = o.organization_id and r.id = o.reservation_id
            where o.status = 'pending' and r.status in ('expired', 'cancelled')
              and r.ended_at < now() - make_interval(secs => {SETTLING_SECONDS})""",  # noqa: S608
    ),
    Invariant(
        "order_status_matches_its_money",
        "The status of an order matches its payment time and its refunded amount.",
        f"""select reference from orders
            where (paid_at is not null) <> (status in {SETTLED})
               or (status = 'partially_refunded') <> (refunded_minor > 0 and refunded_minor < total_minor)
               or (status = 'refunded') <> (refunded_minor > 0 and refunded_minor = total_minor)""",  # noqa: S608
    ),
    Invariant(
        "paid_order_has_its_payment",
        "An order that was paid, and is not free, has a payment that arrived.",
        f"""select o.reference from orders o
            where o.status in {SETTLED} and o.total_minor > 0 and not exists (
                  select from payments p where p.organization_id = o.organization_id and p.order_id = o.id
                     and p.status in ('succeeded', 'refunded'))""",  # noqa: S608
    ),
)

PAYMENTS = (
    Invariant(
        "payment_pays_or_is_refunded",
        "A payment that arrived has paid its order, or is refunded in full unless a refund of it failed.",
        """select p.id::text from payments p
             join orders o on o.organization_id = p.organization_id and o.id = p.order_id
            where p.arrived_at is not null and not p.is_returned and o.paid_at is null
               or p.is_returned and p.status <> 'refunded'
               or p.status = 'refunded' and p.refunded_minor <> p.amount_minor
              and not (p.is_returned and exists (
                       select from refunds r where r.organization_id = p.organization_id and r.payment_id = p.id
                          and r.status = 'failed'))""",
    ),
    Invariant(
        "payment_amount_matches_its_order",
        "A payment has the amount and the currency of its order.",
        """select p.id::text from payments p
             join orders o on o.organization_id = p.organization_id and o.id = p.order_id
            where (p.amount_minor, p.currency) <> (o.total_minor, o.currency)""",
    ),
    Invariant(
        "arrived_payment_has_a_time",
        "A payment has an arrival time exactly if it has arrived.",
        """select id::text from payments
            where (status in ('succeeded', 'refunded')) <> (arrived_at is not null)""",
    ),
    Invariant(
        "webhook_had_its_effect",
        "A payment that the provider has reported as succeeded has arrived.",
        """select e.provider || ' ' || e.event_id from payment_events e
             left join payments p on p.provider = e.provider and p.provider_ref = e.provider_ref
            where (e.processed_at is null) <> (e.outcome is null)
               or e.type = 'payment.succeeded' and e.outcome in ('applied', 'seen') and p.id is not null
              and p.arrived_at is null""",
    ),
    Invariant(
        "refunds_add_up",
        "The refunded amount of a payment is the sum of its refunds.",
        """select p.id::text from payments p
             left join (select organization_id, payment_id, sum(amount_minor) as amount_minor from refunds
                         where status <> 'failed' group by 1, 2) r
               on r.organization_id = p.organization_id and r.payment_id = p.id
            where p.refunded_minor <> coalesce(r.amount_minor, 0)""",
    ),
    Invariant(
        "refund_matches_its_payment",
        "A refund has the order and the currency of its payment.",
        """select r.id::text from refunds r
             join payments p on p.organization_id = r.organization_id and p.id = r.payment_id
            where (r.order_id, r.currency) <> (p.order_id, p.currency)""",
    ),
    Invariant(
        "order_refund_total_matches_its_refunds",
        "The refunded amount of an order is the sum of the refunds and chargebacks that were paid out of its payment.",
        """select o.reference from orders o
             left join (select r.organization_id, r.order_id, sum(r.amount_minor) as amount_minor from refunds r
                          join payments p on p.organization_id = r.organization_id and p.id = r.payment_id
                         where r.status in ('succeeded', 'disputed') and not p.is_returned group by 1, 2) r
               on r.organization_id = o.organization_id and r.order_id = o.id
            where o.refunded_minor <> coalesce(r.amount_minor, 0)""",
    ),
)

INVARIANTS = (*ORDERS, *PAYMENTS)
