"""All mutants: those of the sale, and these of money and messages."""

from tests.mutants.mutant import Edit, Mutant
from tests.mutants.sale import CHECK, MODEL, NO_OWNER_TRIGGER, PLACES, SEATS

_SRC = "src/ticketing"
_POLICIES = "migrations/versions/2026_11_21_1400-row_level_security.py"
_HOLDS = "tests/modules/reservations/test_holds.py::"
_LATE = "tests/modules/payments/test_late_payments.py::"
_WEBHOOKS = "tests/modules/payments/test_webhooks.py::"

MONEY = (
    Mutant(
        "any amount pays",
        "A cent buys a ticket.",
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
        "failure undoes success",
        "Paid, and no trace of it.",
        (Edit(f"{_SRC}/modules/payments/settlement.py", "if payment.status != PaymentStatus.PENDING:", "if False:"),),
        (f"{_WEBHOOKS}test_success_after_failure_counts_and_failure_after_success_does_not",),
    ),
    Mutant(
        "a second payment is kept",
        "A buyer pays twice for one ticket; the index refuses it, and the provider is told of a fault of ours.",
        (Edit(f"{_SRC}/modules/payments/settlement.py", "    if order.status in orders.PAID_STATUSES:", "    if False:"),),
        (f"{_LATE}test_a_second_payment_is_refunded",),
    ),
    Mutant(
        "late money takes what is gone",
        "A seat that was sold to somebody else is sold again.",
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
        "a sale is not told",
        "Paid, and no ticket.",
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
        "the door does not lock",
        "The index refuses a second admission, and a guest at the gate is told that the house is broken.",
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

MESSAGES = (
    Mutant(
        "no inbox",
        "What comes again has its effect again.",
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
        "the log is read past what still runs",
        "A fact that commits late is lost.",
        (
            Edit(
                f"{_SRC}/infra/outbox/reader.py",
                "outbox_window_end(window_from, pg_snapshot_xmin(pg_current_snapshot()))",
                "outbox_window_end(window_from, pg_snapshot_xmax(pg_current_snapshot()))",
            ),
        ),
        ("tests/infra/outbox/test_reader.py::test_a_row_that_commits_late_is_not_lost",),
        is_quick=True,
    ),
    Mutant(
        "a window ends wherever the oldest transaction is",
        "Two facts about one seat change places when a third transaction is between them.",
        (
            Edit(
                f"{_SRC}/infra/outbox/reader.py",
                "outbox_window_end(window_from, pg_snapshot_xmin(pg_current_snapshot())) as window_to",
                "pg_snapshot_xmin(pg_current_snapshot()) as window_to",
            ),
        ),
        ("tests/infra/outbox/test_reader.py::test_a_third_transaction_does_not_swap_two_messages_of_one_key",),
        is_quick=True,
    ),
    Mutant(
        "the log is read in the order of transactions",
        "Two facts about one seat change places.",
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
        "Two processes publish, in the wrong order.",
        (
            Edit(
                f"{_SRC}/infra/outbox/reader.py",
                " where c.reader = %s and c.fence = %s\nreturning true",
                " where c.reader = %s and %s > 0\nreturning true",
            ),
        ),
        ("tests/infra/outbox/test_reader.py::test_a_paused_reader_neither_reads_nor_moves_the_cursor",),
    ),
    Mutant(
        "a paused relay goes on",
        "It moves its successor's cursor past what nobody has published.",
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
        "the relay's cursor moves past what was only read",
        "A relay that dies has left out what it had in hand.",
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
        "stored answers are not compared",
        "A key that is used again for something else gets the old answer.",
        (Edit(f"{_SRC}/infra/http/idempotency.py", "if used_for not in fingerprint:", "if False:"),),
        ("tests/infra/http/test_idempotency.py::test_a_key_is_not_for_another_request",),
    ),
    Mutant(
        "stored answers of holds are not compared",
        "A key that is used again for another seat gets the old seat.",
        (
            Edit(
                f"{_SRC}/modules/reservations/hold/batch.py",
                "if response.fingerprint in hold.request.fingerprint:",
                "if True:",
            ),
        ),
        (f"{_HOLDS}test_a_key_used_for_another_seat_is_a_mismatch",),
    ),
    Mutant(
        "a key is not locked",
        "Retries that come together hold twice; the table's key refuses the second answer, and its hold with it.",
        (
            Edit(
                f"{_SRC}/modules/reservations/hold/batch.py", "        for n in in_flight:\n", "        for n in ():\n"
            ),
        ),
        ("tests/model/test_locks.py::test_a_key_locked_elsewhere_holds_nothing",),
    ),
    Mutant(
        "tenants see each other",
        "One organization reads the orders of another.",
        (Edit(_POLICIES, 'TENANT = "organization_id = (select current_organization())"', 'TENANT = "true"'),),
        ("tests/infra/db/test_tenancy.py::test_in_an_organization_only_its_own_rows_are_visible",),
    ),
)

MUTANTS: tuple[Mutant, ...] = (*SEATS, *PLACES, *MONEY, *MESSAGES)
