"""All mutants: those of sale.py, and those of payments, tickets and messages."""

from tests.mutants.mutant import Edit, Mutant
from tests.mutants.sale import CHECK, MODEL, NO_OWNER_TRIGGER, PLACES, SEATS

_SRC = "src/ticketing"
_POLICIES = "migrations/versions/2026_11_21_1400-row_level_security.py"
_HOLDS = "tests/modules/reservations/test_holds.py::"
_LATE = "tests/modules/payments/test_late_payments.py::"
_LATE_LIMITS = "tests/modules/payments/test_late_limits.py::"
_WEBHOOKS = "tests/modules/payments/test_webhooks.py::"

MONEY = (
    Mutant(
        "any amount is accepted",
        "A payment of one cent buys a ticket.",
        (
            Edit(
                f"{_SRC}/modules/payments/settlement.py",
                "if (event.amount_minor, event.currency) != (payment.amount_minor, payment.currency):",
                "if False:",
            ),
        ),
        (f"{_WEBHOOKS}test_a_wrong_amount_or_currency_pays_nothing",),
    ),
    Mutant(
        "an order may cost more than a payment",
        "A buyer holds and orders what no payment can pay.",
        (Edit(f"{_SRC}/modules/reservations/hold/inventory.py", "    if total > AMOUNT_MAX:", "    if False:"),),
        ("tests/modules/payments/test_amounts.py::test_whatever_can_be_ordered_can_be_paid_and_refunded",),
    ),
    Mutant(
        "a quota is counted without a lock",
        "Requests at once each see the rows of none of the others, and all pass.",
        (
            Edit(
                f"{_SRC}/modules/organizations/quotas.py",
                "    await session.execute(select(func.pg_advisory_xact_lock("
                "func.hashtextextended(_lock_of(quota, owner_id), 0))))\n",
                "",
            ),
        ),
        ("tests/modules/organizations/test_quotas.py::test_requests_at_once_stay_within_every_quota",),
    ),
    Mutant(
        "a failure overwrites a success",
        "A successful payment is recorded as failed.",
        (Edit(f"{_SRC}/modules/payments/settlement.py", "if payment.status != PaymentStatus.PENDING:", "if False:"),),
        (f"{_WEBHOOKS}test_success_after_failure_counts_and_failure_after_success_does_not",),
    ),
    Mutant(
        "a second payment is not refunded",
        "A buyer pays twice; the unique index refuses the payment, and the provider gets a server error.",
        (
            Edit(
                f"{_SRC}/modules/payments/settlement.py",
                "    if order.status in orders.PAID_STATUSES:",
                "    if False:",
            ),
        ),
        (f"{_LATE}test_a_second_payment_is_refunded",),
    ),
    Mutant(
        "a hold that was given back is sold",
        "A buyer gives holds back and pays all of them later: more tickets than one person may have.",
        (
            Edit(
                f"{_SRC}/modules/orders/sale_checks.py",
                "if hold.status == reservations.ReservationStatus.CANCELLED:",
                "if False:",
            ),
        ),
        (f"{_LATE_LIMITS}test_holds_that_were_given_back_and_are_paid_later_buy_nothing",),
    ),
    Mutant(
        "late payments of one person are counted without a lock",
        "Two late payments that arrive at once exceed the limit.",
        (
            Edit(
                f"{_SRC}/modules/orders/sale_checks.py",
                "await reservations.lock_identities(session, {one for one in (account, mailbox) if one is not None})",
                "pass",
            ),
        ),
        (f"{_LATE_LIMITS}test_holds_that_ran_out_and_are_paid_at_once_stay_within_the_limit",),
    ),
    Mutant(
        "a hold that is about to lapse is sold without its allowance",
        "A webhook that waited for a lock sells a hold whose allowance its buyer has used again meanwhile.",
        (
            Edit(
                f"{_SRC}/modules/orders/sale_checks.py",
                "if event.max_per_buyer is not None and hold.is_ending:",
                "if event.max_per_buyer is not None and not hold.is_running:",
            ),
        ),
        (f"{_LATE_LIMITS}test_money_that_waited_past_the_end_of_its_hold_is_counted_again",),
    ),
    Mutant(
        "a late payment takes seats of others",
        "A seat that was sold to another buyer is sold again.",
        (
            Edit(
                f"{_SRC}/modules/events/inventory/seats.py",
                "if not all(row.is_free or row.reservation_id == reservation_id for row in rows):",
                "if False:",
            ),
            Edit(
                f"{_SRC}/modules/events/inventory/seats.py",
                " and ({FREE} or s.status = 'h' and s.reservation_id = w.reservation_id)",
                "",
            ),
            NO_OWNER_TRIGGER,
        ),
        (MODEL,),
    ),
    Mutant(
        "a sale is not published",
        "A paid order gets no tickets.",
        (
            Edit(
                f"{_SRC}/modules/orders/service.py",
                "        outbox.publish(session, OrderPaid.of(order))\n",
                "",
            ),
        ),
        ("tests/modules/tickets/test_issue.py::test_a_paid_order_has_a_ticket_for_each_seat", CHECK),
    ),
    Mutant(
        "check-in does not lock the ticket",
        "The unique index refuses a second admission, and the scanner gets a server error.",
        (
            Edit(
                f"{_SRC}/modules/tickets/checkin/service.py",
                "select(Ticket).where(of_event, Ticket.id == claims.ticket_id).with_for_update()",
                "select(Ticket).where(of_event, Ticket.id == claims.ticket_id)",
            ),
        ),
        ("tests/modules/tickets/test_check_in.py::test_fifty_gates_and_one_ticket_make_one_admission",),
    ),
)

PROVIDERS = (
    Mutant(
        "a provider is called inside a transaction",
        "A provider that takes seconds holds locks, and delays every reader of the log.",
        (
            Edit(
                f"{_SRC}/infra/system/outside_calls.py",
                "    if any(scope.is_open() for scope in _scopes.get()):",
                "    if False:",
            ),
        ),
        (
            "tests/infra/system/test_outside_calls.py::"
            "test_every_client_refuses_to_be_called_while_a_transaction_is_open",
        ),
    ),
    Mutant(
        "a claim on a refund has expired from the start",
        "Several processes send one refund at the same time.",
        (
            Edit(
                f"{_SRC}/modules/payments/refunds/sender.py",
                "set due_at = clock_timestamp() + make_interval(secs => %s)",
                "set due_at = clock_timestamp() - make_interval(secs => %s)",
            ),
        ),
        ("tests/modules/payments/test_refunds.py::test_a_refund_that_several_processes_send_is_paid_once",),
    ),
    Mutant(
        "an echo of a refund that is being sent is a second refund",
        "Staff refund once, and the order counts the money twice.",
        (
            Edit(
                f"{_SRC}/modules/payments/refunds/at_provider.py",
                "    if _may_be_echo(refunds, event):",
                "    if False:",
            ),
        ),
        (
            "tests/modules/payments/test_provider_refunds.py::"
            "test_an_echo_without_our_id_waits_while_the_refund_is_sent",
        ),
    ),
    Mutant(
        "a refusal fails a refund that was paid",
        "The buyer has the money, and staff can refund it a second time.",
        (
            Edit(
                f"{_SRC}/modules/payments/refunds/sender.py",
                "        if refund.status == RefundStatus.REQUESTED:",
                "        if True:",
            ),
        ),
        ("tests/modules/payments/test_refused_refunds.py::test_a_refusal_after_the_success_changes_nothing",),
    ),
    Mutant(
        "a payment that no provider has is shown",
        "A buyer sees a payment without a reference.",
        (
            Edit(
                f"{_SRC}/modules/payments/queries.py",
                "    of_order &= Payment.provider_ref.is_not(None)\n",
                "",
            ),
        ),
        (
            "tests/modules/payments/test_slow_provider.py::"
            "test_a_provider_that_is_down_is_a_503_and_the_next_request_continues",
        ),
    ),
)

MESSAGES = (
    Mutant(
        "the lease is not renewed during an effect",
        "A standby sends the email that a slow mail server is accepting.",
        (
            Edit(
                f"{_SRC}/infra/bus/log_consumer.py",
                "await run_while(self.reader.keep_lease(), self._consume(page, stop))",
                "await self._consume(page, stop)",
            ),
        ),
        ("tests/infra/bus/test_slow_effects.py::test_a_mail_server_that_takes_ten_seconds_gets_each_email_once",),
    ),
    Mutant(
        "dead letters have one form",
        "A row that JSON columns can't store stops its consumer group for ever.",
        (
            Edit(
                f"{_SRC}/infra/bus/dead_letters.py",
                "for form in (as_json, as_bytes, as_reference)]",
                "for form in (as_json,)]",
            ),
        ),
        ("tests/infra/bus/test_redelivery.py::test_a_message_that_only_bytes_can_keep_is_redelivered_from_them",),
    ),
    Mutant(
        "every timeout counts",
        "While the database is stuck, paid orders become dead letters instead of waiting.",
        (
            Edit(
                f"{_SRC}/infra/bus/attempts.py",
                "if classify(error) is Failure.UNCLEAR and not await commits(database):",
                "if False:",
            ),
        ),
        ("tests/infra/bus/test_attempts.py::test_a_message_that_times_out_while_the_database_is_stuck_waits",),
    ),
    Mutant(
        "no timeout counts",
        "A message that always times out stops its consumer group for ever.",
        (
            Edit(
                f"{_SRC}/infra/bus/failures.py",
                "    if state.startswith(_UNCLEAR):\n",
                "    if False:\n",
            ),
        ),
        ("tests/infra/bus/test_failures.py::test_an_error_of_the_database_is_classified_by_its_sqlstate",),
    ),
    Mutant(
        "the map follows events that do not exist",
        "A foreign message writes rows, and claims the map of an event for another organization.",
        (
            Edit(
                f"{_SRC}/modules/realtime/queries.py",
                "  join events e on e.organization_id = t.organization_id and e.id = t.event_id\n",
                "",
            ),
        ),
        ("tests/modules/realtime/test_frames.py::test_foreign_messages_neither_write_rows_nor_hold_up_the_maps",),
    ),
    Mutant(
        "headers need not agree with the payload",
        "A message of one organization is processed under the name of another.",
        (
            Edit(
                f"{_SRC}/infra/bus/delivery.py",
                "if message.organization_id not in (None, delivery.organization_id):",
                "if False:",
            ),
        ),
        ("tests/infra/bus/test_bad_messages.py::test_bad_rows_of_every_kind_become_dead_letters_and_stop_no_group",),
    ),
    Mutant(
        "no inbox",
        "A redelivered message takes effect again.",
        (
            Edit(
                f"{_SRC}/infra/bus/delivery.py",
                "return written.rowcount == 1",
                "return written.rowcount < 2",
            ),
        ),
        ("tests/infra/bus/test_delivery.py::test_a_redelivery_has_no_effect",),
        is_quick=True,
    ),
    Mutant(
        "the log is read past running transactions",
        "A message that commits late is lost.",
        (
            Edit(
                f"{_SRC}/infra/outbox/reader.py",
                "outbox_window_end(window_from, log_position(pg_snapshot_xmin(pg_current_snapshot())))",
                "outbox_window_end(window_from, log_position(pg_snapshot_xmax(pg_current_snapshot())))",
            ),
        ),
        ("tests/infra/outbox/test_reader.py::test_a_row_that_commits_late_is_not_lost",),
        is_quick=True,
    ),
    Mutant(
        "a log from another cluster is not adopted",
        "After a restore, no reader sees a new message.",
        (
            Edit(
                f"{_SRC}/infra/db/log_cluster.py",
                "_value(connection, _IS_ADOPTED) is False",
                "_value(connection, _IS_ADOPTED) is None",
            ),
        ),
        (
            "tests/infra/outbox/test_restore.py"
            "::test_a_process_that_reconnects_to_a_restored_database_writes_what_readers_read",
        ),
    ),
    Mutant(
        "a window ends at the oldest running transaction",
        "Two messages about one seat are swapped if a third transaction is between them.",
        (
            Edit(
                f"{_SRC}/infra/outbox/reader.py",
                "outbox_window_end(window_from, log_position(pg_snapshot_xmin(pg_current_snapshot()))) as window_to",
                "log_position(pg_snapshot_xmin(pg_current_snapshot())) as window_to",
            ),
        ),
        ("tests/infra/outbox/test_reader.py::test_a_third_transaction_does_not_swap_two_messages_of_one_key",),
        is_quick=True,
    ),
    Mutant(
        "the log is read in the order of transaction ids",
        "Two messages about one seat are swapped.",
        (
            Edit(
                f"{_SRC}/infra/outbox/reader.py",
                "order by id limit %s) as page",
                "order by xid, id limit %s) as page",
            ),
        ),
        ("tests/infra/outbox/test_reader.py::test_two_transactions_on_one_seat_keep_its_order",),
    ),
    Mutant(
        "a paused reader renews its lease",
        "Two processes publish at once, in the wrong order.",
        (
            Edit(
                f"{_SRC}/infra/outbox/reader.py",
                " where c.reader = %s and c.fence = %s\nreturning extract",
                " where c.reader = %s and %s > 0\nreturning extract",
            ),
        ),
        ("tests/infra/outbox/test_reader.py::test_a_paused_reader_neither_reads_nor_moves_the_cursor",),
    ),
    Mutant(
        "a paused relay moves the cursor",
        "It moves its successor's cursor past rows that were not published.",
        (
            Edit(
                f"{_SRC}/infra/outbox/reader.py",
                " where c.reader = %s and c.fence = %s\nreturning c.window_to is not null",
                " where c.reader = %s and %s > 0\nreturning c.window_to is not null",
            ),
        ),
        ("tests/infra/outbox/test_reader.py::test_a_paused_reader_neither_reads_nor_moves_the_cursor",),
    ),
    Mutant(
        "the relay's cursor moves past unacknowledged rows",
        "If a relay is killed, the rows in flight are lost.",
        (
            Edit(
                f"{_SRC}/infra/outbox/reader.py",
                "progress.closes, progress.acknowledged, reader",
                "progress.closes, progress.read, reader",
            ),
        ),
        ("tests/infra/outbox/test_reader.py::test_rows_that_were_not_acknowledged_are_read_again_after_acquire",),
    ),
    Mutant(
        "stored responses are not compared",
        "An idempotency key that is reused for another request gets the old response.",
        (Edit(f"{_SRC}/infra/http/idempotency.py", "if used_for not in claim.fingerprint:", "if False:"),),
        ("tests/infra/http/test_idempotency.py::test_a_key_is_not_for_another_request",),
    ),
    Mutant(
        "stored responses of holds are not compared",
        "An idempotency key that is reused for another seat gets the old seat.",
        (
            Edit(
                f"{_SRC}/modules/reservations/hold/batch.py",
                "if response.fingerprint in request.fingerprint:",
                "if True:",
            ),
        ),
        (f"{_HOLDS}test_a_key_used_for_another_seat_is_a_mismatch",),
    ),
    Mutant(
        "an idempotency key is not locked",
        "Concurrent retries hold twice; the primary key refuses the second response and rolls back its hold.",
        (
            Edit(
                f"{_SRC}/modules/reservations/hold/batch.py", "        for n in in_flight:\n", "        for n in ():\n"
            ),
        ),
        ("tests/model/test_locks.py::test_a_key_locked_elsewhere_holds_nothing",),
    ),
    Mutant(
        "a read-only server is not an outage",
        "After a failover, requests get a 500, connections stay with the old primary, and consumers end.",
        (Edit(f"{_SRC}/infra/db/sqlstates.py", '"25006": Effect.RECONNECT', '"25006": Effect.FAIL'),),
        ("tests/infra/db/test_sqlstates.py::test_a_useless_connection_takes_the_older_ones_of_its_pool_with_it",),
    ),
    Mutant(
        "tenants see each other",
        "One organization reads the orders of another.",
        (Edit(_POLICIES, 'TENANT = "organization_id = (select current_organization())"', 'TENANT = "true"'),),
        ("tests/infra/db/test_tenancy.py::test_in_an_organization_only_its_own_rows_are_visible",),
    ),
)

ACCOUNTS = (
    Mutant(
        "limits count the text of an address",
        "Every spelling of an address gives another ten tries at its password.",
        (Edit(f"{_SRC}/admission.py", "email = find_email(name)", "email = name if isinstance(name, str) else None"),),
        ("tests/infra/http/test_spellings.py::test_every_spelling_of_a_mailbox_shares_one_limit",),
    ),
    Mutant(
        "a key is made beside the removal of its maker",
        "A removed admin keeps a key that nobody has seen.",
        (
            Edit(
                f"{_SRC}/modules/organizations/api_keys.py",
                "    await lock_membership(session, access, Permission.MAKE_KEYS)\n",
                "",
            ),
        ),
        ("tests/modules/organizations/test_credentials.py::test_nothing_is_made_beside_a_removal",),
    ),
    Mutant(
        "every address is a recipient",
        "An attacker's event title is mailed to a stranger.",
        (
            Edit(
                f"{_SRC}/modules/notifications/emails.py",
                "if not await iam.is_recipient(",
                "if not True and await iam.is_recipient(",
            ),
        ),
        ("tests/modules/notifications/test_strangers.py::test_a_stranger_gets_few_emails_and_no_word_of_their_sender",),
    ),
    Mutant(
        "an unverified address accepts invitations",
        "Whoever registers another person's address first becomes a member in their place.",
        (
            Edit(f"{_SRC}/modules/organizations/invitations.py", "if user.email_verified_at is None:", "if False:"),
            Edit("migrations/versions/2026_11_21_1570-invitations.py", " and u.email_verified_at is not null)", ")"),
        ),
        ("tests/modules/organizations/test_invitations.py::test_only_a_verified_address_accepts_in_its_account",),
    ),
)

MUTANTS: tuple[Mutant, ...] = (*SEATS, *PLACES, *MONEY, *PROVIDERS, *MESSAGES, *ACCOUNTS)
