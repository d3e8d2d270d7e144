"""Record in batches what providers have answered: one organization, one transaction, three round trips.

    read     enter the organization, claim the keys, lock orders and payments, each in order of their ids
    write    the references, and look for webhooks that have arrived before them
    commit   messages, responses, and the commit

A batch decides the usual case: a payment as it was reserved, of an order that can be paid. Anything else is left to
`service.record_payment` in a transaction of its own, with the same outcome as without batches.
"""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from ticketing.infra import crash_points
from ticketing.infra.db import Database, tenancy
from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import DriverConnection, pipelined, rows, send
from ticketing.infra.group_commit import GroupCommit, Pending, Unusual, batch_transaction
from ticketing.infra.group_commit.keyed_batch import Answer, KeyedBatch, RunningKeys, pend
from ticketing.infra.group_commit.metrics import WAITING, observe_batch
from ticketing.infra.http.envelope import as_json, envelope
from ticketing.infra.http.idempotency import Claim
from ticketing.infra.outbox.publish import append, message_of
from ticketing.modules import orders
from ticketing.modules.payments.messages import PaymentCreated
from ticketing.modules.payments.models import Payment
from ticketing.modules.payments.providers import Checkout
from ticketing.modules.payments.sale.reserve_batch import is_payable, payments_of
from ticketing.modules.payments.schemas import PaymentOut
from ticketing.modules.payments.service import COLUMNS

LOCK_SECONDS = 2.0


class RecordRequest(NamedTuple):
    """A request whose provider has answered; `site` is the platform's base URL as the client sees it."""

    claim: Claim
    user_id: UUID
    payment: Payment
    checkout: Checkout
    site: str


class PaymentRecords:
    """Commits batches of payments that providers have opened."""

    waiting = WAITING.labels("payments to record")

    def __init__(self, database: Database, group_commit: GroupCommit) -> None:
        self._database, self._group_commit = database, group_commit
        self._keys = RunningKeys()

    async def submit(self, request: RecordRequest) -> Answer:
        """Store the provider's answer. The returned response is committed.

        Raises:
            Unusual: `service.record_payment` decides it.
            Overloaded, Unavailable, Replay, IdempotencyMismatch, IdempotencyInFlight: see the classes.
        """
        with self._keys.running(request.claim):
            pending = pend(request, Answer)
            self._group_commit.add(self, request.payment.organization_id, pending)
            return await pending.response

    async def commit(
        self, connection: AsyncConnection, organization_id: UUID, batch: Sequence[Pending[RecordRequest, Answer]]
    ) -> None:
        """See `group_commit.Committer`."""
        began, outcomes = time.perf_counter(), KeyedBatch(batch)
        try:
            async with batch_transaction(connection) as driver:
                await _record(driver, organization_id, batch, outcomes)
        finally:
            # Also after an error: when the commit itself fails, the server may have committed.
            self._database.notify_changed((), {PaymentCreated.topic})
        crash_points.at("after_commit_before_ack")
        observe_batch("payments to record", len(batch), time.perf_counter() - began)
        outcomes.deliver()

    def error_for_client(self, error: Exception) -> Exception:
        """See `group_commit.Committer`."""
        return Unusual()


_LOCK = f"""
select p.* from json_array_elements_text(%s::json) as w (id)
 cross join lateral (select {", ".join(COLUMNS)} from payments
                      where organization_id = %s and id = w.id::uuid for update skip locked) as p"""  # noqa: S608
_AWAITED = """
select w.id from json_to_recordset(%s::json) as w (id uuid, provider text, provider_ref text)
 where exists (select from payment_events e
                where e.provider = w.provider and e.provider_ref = w.provider_ref
                  and coalesce(e.processed_at, 'infinity') = 'infinity' offset 0)"""
_RECORD = """
update payments p set provider_ref = w.provider_ref, checkout_url = w.checkout_url
  from json_to_recordset(%s::json) as w (id uuid, provider_ref text, checkout_url text)
 where p.organization_id = %s and p.id = w.id"""

_UNDO = """
update payments set provider_ref = null, checkout_url = null
 where id in (select w.id::uuid from json_array_elements_text(%s::json) as w (id)) and organization_id = %s"""


async def _record(
    connection: DriverConnection,
    organization_id: UUID,
    batch: Sequence[Pending[RecordRequest, Answer]],
    outcomes: KeyedBatch[RecordRequest, Answer],
) -> None:
    payment_ids = {pending.request.payment.id for pending in batch}
    order_ids = {pending.request.payment.order_id for pending in batch}
    async with pipelined(connection):
        await tenancy.enter_on(connection, organization_id, LOCK_SECONDS)
        keys = await outcomes.claim(connection)
        locked = await orders.lock_order_rows(connection, organization_id, order_ids)
        found = PendingQuery(payments_of, await send(connection, _LOCK, rows(sorted(payment_ids)), organization_id))
        payable = await orders.query_payable(connection, order_ids)
    outcomes.replay(*await keys.fetch())
    free, states = await locked.fetch(), await payable.fetch()
    known = {payment.id: payment for payment in await found.fetch()}
    usual: list[tuple[Pending[RecordRequest, Answer], Payment]] = []
    for pending in outcomes.undecided:
        request = pending.request
        payment, order = known.pop(request.payment.id, None), free.get(request.payment.order_id)
        if payment is None or order is None or order.user_id != request.user_id:
            continue
        if _is_recordable(payment, request) and is_payable(order, states):
            usual.append((pending, payment))
    await _write_records(connection, organization_id, usual, outcomes)


async def _write_records(
    connection: DriverConnection,
    organization_id: UUID,
    usual: list[tuple[Pending[RecordRequest, Answer], Payment]],
    outcomes: KeyedBatch[RecordRequest, Answer],
) -> None:
    opened = rows([_recorded(pending.request) for pending, _ in usual])
    async with pipelined(connection):
        await send(connection, _RECORD, opened, organization_id)
        # After the update, whose row a webhook needs: what is stored until now did not find it.
        awaited = await send(connection, _AWAITED, opened)
    # Their payments go through `service`, which applies the webhooks that have arrived too early.
    early = {payment_id for (payment_id,) in await awaited.fetchall()}
    messages = []
    for pending, payment in usual:
        if payment.id in early:
            continue
        checkout = pending.request.checkout
        payment.provider_ref, payment.checkout_url = checkout.provider_ref, checkout.checkout_url
        messages.append(message_of(PaymentCreated.of(payment), pending.cause))
        out = PaymentOut.of(payment, [], pending.request.site, checkout.client_secret)
        outcomes.answer(pending, Answer(201, as_json(envelope(out, "Payment started"))))
    async with pipelined(connection) as round_trip:
        if early:
            await send(connection, _UNDO, rows(list(early)), organization_id)
        await append(connection, organization_id, messages)
        await outcomes.store(connection)
        round_trip.commits = True


def _recorded(request: RecordRequest) -> dict[str, Any]:
    """What is stored of a provider's answer."""
    checkout = request.checkout
    return {
        "id": request.payment.id,
        "provider": request.payment.provider,
        "provider_ref": checkout.provider_ref,
        "checkout_url": checkout.checkout_url,
    }


def _is_recordable(payment: Payment, request: RecordRequest) -> bool:
    """Whether the payment is as it was reserved: no provider is known to have it."""
    is_open = payment.status == "pending" and payment.provider_ref is None
    return is_open and payment.provider == request.payment.provider
