"""Apply webhooks of successful payments in batches: one organization, one transaction, three round trips.

    store    enter the organization, store the webhooks in key order, find their payments
    lock     orders, payments, holds, each in key order
    write    seats, holds, places, orders, payments, messages, and the commit

A batch decides the usual case: a pending payment of a pending order whose hold runs. Anything else, and any other kind
of webhook, goes through `webhooks.receive_event` in a transaction of its own: late money, a second payment, a wrong
amount, a row that is locked. The batch has stored such a webhook as unprocessed, so it is applied even if this process
ends in between: by the retries of the scheduler, or of the provider.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from ticketing.infra import crash_points
from ticketing.infra.db import Database, tenancy
from ticketing.infra.db.pipeline import DriverConnection, pipelined, rows, send
from ticketing.infra.group_commit import GroupCommit, OwnerLookup, Pending, Unusual, batch_transaction
from ticketing.infra.group_commit.metrics import WAITING, observe_batch
from ticketing.infra.log import Cause
from ticketing.infra.outbox.publish import MessageRow, append, message_of
from ticketing.modules import orders
from ticketing.modules.payments import refunds
from ticketing.modules.payments.locked_payment import LockedPayment
from ticketing.modules.payments.messages import PaymentSucceeded
from ticketing.modules.payments.models import PaymentStatus
from ticketing.modules.payments.providers import ProviderEvent
from ticketing.modules.payments.webhooks import PAYMENTS

LOCK_SECONDS = 2.0

_OWNERS = """
select w.n, organization_of_payment(w.provider, w.provider_ref)
  from json_to_recordset(%s::json) as w (n integer, provider text, provider_ref text)"""


class Webhook(NamedTuple):
    """A verified webhook; `provider` is a name."""

    provider: str
    event: ProviderEvent

    @property
    def key(self) -> tuple[str, str]:
        return self.provider, self.event.event_id


PendingWebhook = Pending[Webhook, None]


class Settlements:
    """Submits webhooks to the group commit, and commits batches of them."""

    waiting = WAITING.labels("webhooks")

    def __init__(self, database: Database, group_commit: GroupCommit) -> None:
        self._database, self._group_commit = database, group_commit
        self._owners = OwnerLookup(group_commit, "owners of payments", _OWNERS)

    async def submit(self, webhook: Webhook) -> None:
        """Apply a webhook, and commit.

        Raises:
            Unusual: `webhooks.receive_event` decides it.
            Overloaded, Unavailable: see the classes.
        """
        if webhook.event.type != "payment.succeeded":
            raise Unusual
        owner = await self._owners.find(provider=webhook.provider, provider_ref=webhook.event.provider_ref)
        if owner is None:
            raise Unusual
        pending: PendingWebhook = Pending(webhook, Cause.here(), asyncio.get_running_loop().create_future())
        self._group_commit.add(self, owner, pending)
        await pending.response

    async def commit(self, connection: AsyncConnection, organization_id: UUID, batch: Sequence[PendingWebhook]) -> None:
        """See `group_commit.Committer`."""
        began = time.perf_counter()
        settlements = _Batch(organization_id, batch)
        try:
            async with batch_transaction(connection) as driver:
                await settlements.run(driver)
        finally:
            # Also after an error: when the commit itself fails, the server may have committed.
            if settlements.topics:
                self._database.notify_changed(settlements.event_ids, settlements.topics)
        crash_points.at("after_commit_before_ack")
        observe_batch("webhooks", len(batch), time.perf_counter() - began)
        for pending in batch:
            if pending in settlements.applied:
                PAYMENTS.labels(pending.request.provider, "payment.succeeded:applied").inc()
                pending.answer(None)
            else:
                pending.fail(Unusual())

    def error_for_client(self, error: Exception) -> Exception:
        """See `group_commit.Committer`."""
        return Unusual()


class _Named(NamedTuple):
    """The payment that a webhook names."""

    payment_id: UUID
    order_id: UUID
    reservation_id: UUID


class _Settlement(NamedTuple):
    """A webhook that the batch applies."""

    pending: PendingWebhook
    arrived_at: datetime
    payment: LockedPayment
    sale: orders.UsualSale

    def messages(self) -> list[MessageRow]:
        """The messages about it, in their order."""
        messages = [*orders.paid_messages(self.sale), PaymentSucceeded.of(self.payment)]
        return [message_of(message, self.pending.cause) for message in messages]


# In key order, as all batches insert them; ON CONFLICT waits for a concurrent insert of the same webhook.
_STORE = """
insert into payment_events (provider, event_id, type, provider_ref, amount_minor, currency, object_ref, refund_id,
                            reason, body)
select provider, event_id, type, provider_ref, amount_minor, currency, object_ref, refund_id, reason, body::jsonb
  from json_to_recordset(%s::json) as w (provider text, event_id text, type text, provider_ref text,
                                         amount_minor bigint, currency text, object_ref text, refund_id uuid,
                                         reason text, body json)
 order by provider, event_id
on conflict do nothing
returning provider, event_id, received_at"""
_FIND = """
select w.provider, w.event_id, p.id, o.id, o.reservation_id
  from json_to_recordset(%s::json) as w (provider text, event_id text, provider_ref text)
 cross join lateral (select id, order_id from payments
                      where provider = w.provider and provider_ref = w.provider_ref offset 0) as p
 cross join lateral (select id, reservation_id from orders where id = p.order_id offset 0) as o"""
_LOCK_PAYMENTS = f"""
select p.* from json_array_elements_text(%s::json) as w (id)
 cross join lateral (select {", ".join(LockedPayment._fields)} from payments
                      where organization_id = %s and id = w.id::uuid for update) as p"""  # noqa: S608
_MARK_SUCCEEDED = """
update payments p set status = 'succeeded', arrived_at = w.arrived_at
  from json_to_recordset(%s::json) as w (id uuid, arrived_at timestamptz)
 where p.organization_id = %s and p.id = w.id"""
_MARK_PROCESSED = """
update payment_events e set outcome = 'applied', processed_at = now()
  from json_to_recordset(%s::json) as w (provider text, event_id text)
 where e.provider = w.provider and e.event_id = w.event_id"""


class _Batch:
    """Webhooks of one organization's payments, applied together."""

    def __init__(self, organization_id: UUID, batch: Sequence[PendingWebhook]) -> None:
        self._organization_id, self._batch = organization_id, batch
        self.applied: set[PendingWebhook] = set()
        #: Events about which messages are published, and the topics of the messages.
        self.event_ids: set[UUID] = set()
        self.topics: set[str] = set()

    async def run(self, connection: DriverConnection) -> None:
        stored, named = await self._store(connection)
        # The first of several webhooks about one order; the others are not the usual case.
        by_order: dict[UUID, PendingWebhook] = {}
        for pending in self._batch:
            if pending.request.key in stored and (found := named.get(pending.request.key)) is not None:
                by_order.setdefault(found.order_id, pending)
        chosen = {order_id: named[pending.request.key] for order_id, pending in by_order.items()}
        payment_ids = sorted(one.payment_id for one in chosen.values())
        async with pipelined(connection):
            locked = await orders.lock_order_rows(connection, self._organization_id, chosen)
            paid = await send(connection, _LOCK_PAYMENTS, rows(payment_ids), self._organization_id)
            holds = {order_id: one.reservation_id for order_id, one in chosen.items()}
            pending_sales = await orders.lock_sales(connection, self._organization_id, holds)
        sales = await pending_sales.fetch_usual(await locked.fetch())
        payments = {payment.order_id: payment for payment in (LockedPayment(*row) for row in await paid.fetchall())}
        settlements = [
            _Settlement(pending, stored[pending.request.key], payments[order_id], sales[order_id])
            for order_id, pending in by_order.items()
            if order_id in sales and order_id in payments and _is_usual(payments[order_id], pending.request.event)
        ]
        await self._write(connection, settlements)

    async def _store(
        self, connection: DriverConnection
    ) -> tuple[dict[tuple[str, str], datetime], dict[tuple[str, str], _Named]]:
        """When each webhook was stored, if it is new, and the payment that it names."""
        wanted = rows([_as_row(pending.request) for pending in self._batch])
        async with pipelined(connection):
            await tenancy.enter_on(connection, self._organization_id, LOCK_SECONDS)
            inserted = await send(connection, _STORE, wanted)
            found = await send(connection, _FIND, wanted)
        stored = {(provider, event_id): at for provider, event_id, at in await inserted.fetchall()}
        return stored, {(row[0], row[1]): _Named(*row[2:]) for row in await found.fetchall()}

    async def _write(self, connection: DriverConnection, settlements: list[_Settlement]) -> None:
        async with pipelined(connection) as round_trip:
            if settlements:
                await self._write_settlements(connection, settlements)
            round_trip.commits = True
        self.applied = {settlement.pending for settlement in settlements}

    async def _write_settlements(self, connection: DriverConnection, settlements: list[_Settlement]) -> None:
        organization_id = self._organization_id
        succeeded = [{"id": one.payment.id, "arrived_at": one.arrived_at} for one in settlements]
        processed = [dict(zip(("provider", "event_id"), one.pending.request.key, strict=True)) for one in settlements]
        messages = [row for settlement in settlements for row in settlement.messages()]
        self.event_ids = {settlement.sale.order.event_id for settlement in settlements}
        self.topics = {row["topic"] for row in messages}
        await send(connection, _MARK_SUCCEEDED, rows(succeeded), organization_id)
        await send(connection, _MARK_PROCESSED, rows(processed))
        await append(connection, organization_id, messages)
        # Last, because it ends with the counters of places, which all sales of an event share.
        await orders.pay_orders(connection, organization_id, [settlement.sale for settlement in settlements])


def _is_usual(payment: LockedPayment, event: ProviderEvent) -> bool:
    # An index allows one pending payment per order: this one supersedes none.
    is_expected = (event.amount_minor, event.currency) == (payment.amount_minor, payment.currency)
    return payment.status == PaymentStatus.PENDING and is_expected


def _as_row(webhook: Webhook) -> dict[str, Any]:
    event = webhook.event
    return {
        "provider": webhook.provider,
        "event_id": event.event_id,
        "type": event.type,
        "provider_ref": event.provider_ref,
        "amount_minor": event.amount_minor,
        "currency": event.currency,
        "object_ref": event.object_ref,
        "refund_id": event.refund_id,
        "reason": refunds.bounded(event.reason),
        "body": event.body,
    }
