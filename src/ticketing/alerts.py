"""Alerts of the whole platform, in addition to those of the log and the dead letters, which `health` defines."""

from ticketing.modules.health import Alert

_AGE = "extract(epoch from now() - {since})"
#: The smallest UUIDv7 of a time: ids sort by the time at which their rows were made.
_FIRST_ID = "cast(lpad(to_hex(cast(extract(epoch from {at}) * 1000 as bigint)), 12, '0') || repeat('0', 20) as uuid)"
_RECENT_IDS = " and ".join(
    f"o.id {bound} {_FIRST_ID.format(at=at)}"
    for bound, at in ((">", "now() - interval '14 days'"), ("<", "now() + interval '1 day'"))
)

ALERTS = (
    Alert(
        "holds_not_swept",
        10,
        "seconds",
        f"select null, {_AGE.format(since='min(expires_at)')} from watched_reservations where status = 'active'",  # noqa: S608
    ),
    Alert(
        "webhooks_waiting",
        300,
        "seconds",
        f"select null, {_AGE.format(since='min(received_at)')} from payment_events where processed_at is null",  # noqa: S608
    ),
    Alert(
        # Measures our worker: a delivery that the receiver refused is due again at its next attempt, not before.
        "webhooks_not_delivered",
        60,
        "seconds",
        f"select null, {_AGE.format(since='least(min(due_at), min(unread_at))')} from watched_webhooks",  # noqa: S608
    ),
    Alert(
        "payments_mismatched",
        0,
        "count",
        "select null, count(*) from payment_events where outcome in ('mismatch', 'abandoned')",
    ),
    Alert(
        "refunds_not_sent",
        300,
        "seconds",
        f"""select provider, {_AGE.format(since="min(created_at)")} from watched_refunds where status = 'requested'
             group by provider""",  # noqa: S608
    ),
    Alert(
        "paid_without_tickets",
        60,
        "seconds",
        f"""select min(o.reference), {_AGE.format(since="min(o.paid_at)")} from watched_orders o
                 where o.status = 'paid' and o.paid_at > now() - interval '7 days' and not o.has_tickets
                   and {_RECENT_IDS}""",  # noqa: S608
    ),
)
