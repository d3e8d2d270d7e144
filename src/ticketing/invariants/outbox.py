"""What has to be true of the log, its readers, and the answers that are kept for retries."""

from ticketing.invariants.invariant import Invariant

INVARIANTS = (
    Invariant(
        "readers_are_behind_the_log",
        "No reader's cursor is ahead of the log.",
        """select reader from outbox_cursor
            where window_from > pg_snapshot_xmax(pg_current_snapshot())
               or window_to > pg_snapshot_xmax(pg_current_snapshot()) or window_to < window_from
               or last_id > coalesce((select max(id) from outbox), 0)""",
    ),
    Invariant(
        "acts_are_in_the_log",
        "Every hold and every sale of the last day has its fact in the log.",
        """with told as materialized (
               select organization_id, topic, key from outbox
                where topic in ('reservation.created', 'order.paid')
                  and occurred_at >= now() - make_interval(secs => :logged_seconds) - interval '1 hour'),
             done as (
               select organization_id, 'reservation.created' as topic, id::text as key from reservations
                where created_at >= now() - make_interval(secs => :logged_seconds)
               union all
               select organization_id, 'order.paid', id::text from orders
                where paid_at >= now() - make_interval(secs => :logged_seconds))
           select d.topic || ' ' || d.key from done d left join told t using (organization_id, topic, key)
            where t.key is null""",
    ),
    Invariant(
        "answers_can_be_repeated",
        "An answer that is kept for a retry is neither a failure of ours nor a request to come back later.",
        """select caller || ' ' || status from idempotency_keys
            where status not between 200 and 499 or status = 429 or length(fingerprint) <> 32""",
    ),
)
