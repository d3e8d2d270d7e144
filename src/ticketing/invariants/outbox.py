"""Invariants of the log, its readers, and the responses that are stored for retries."""

from ticketing.invariants.invariant import LOG_SECONDS, Invariant

INVARIANTS = (
    Invariant(
        "no_reader_is_ahead_of_the_log",
        "No reader, and no message, is ahead of the log.",
        """select reader from outbox_cursor
            where window_to < window_from or last_id > coalesce((select max(id) from outbox), 0)
           union all select subject from watched_log_positions""",
    ),
    Invariant(
        "holds_and_sales_are_in_the_log",
        "Every hold and every sale of the last day has its message in the log.",
        f"""with published as materialized (
               select organization_id, topic, key from outbox
                where topic in ('reservation.created', 'order.paid')
                  and occurred_at >= now() - make_interval(secs => {LOG_SECONDS}) - interval '1 hour'),
             done as (
               select organization_id, 'reservation.created' as topic, id::text as key from reservations
                where created_at >= now() - make_interval(secs => {LOG_SECONDS})
               union all
               select organization_id, 'order.paid', id::text from orders
                where paid_at >= now() - make_interval(secs => {LOG_SECONDS}))
           select d.topic || ' ' || d.key from done d left join published t using (organization_id, topic, key)
            where t.key is null""",  # noqa: S608
    ),
    Invariant(
        "stored_responses_can_be_replayed",
        "No stored response to a retry is a 5xx or a 429.",
        """select caller || ' ' || status from idempotency_keys
            where status not between 200 and 499 or status = 429 or length(fingerprint) <> 32""",
    ),
)
