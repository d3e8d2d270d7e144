"""Reserve payments in batches: one organization, one transaction, two round trips, whatever its size.

    read     enter the organization, look the keys up, lock the orders in order of their ids, find their open payments
    write    the payments, and the commit

A batch decides the usual case: a pending order that can be paid. Anything else is left to `service.reserve_payment` in
a transaction of its own, with the same outcome as without batches. What follows is `record_batch`.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from ticketing.infra.db import tenancy
from ticketing.infra.db.pipeline import DriverConnection, pipelined, rows, send
from ticketing.infra.group_commit import GroupCommit, OwnerLookup, Pending, Unusual, batch_transaction
from ticketing.infra.group_commit.keyed_batch import KeyedBatch, RunningKeys, pend
from ticketing.infra.group_commit.metrics import WAITING, observe_batch
from ticketing.infra.http.idempotency import Claim
from ticketing.modules import events, orders
from ticketing.modules.payments.models import Payment
from ticketing.modules.payments.service import COLUMNS, new_payment

LOCK_SECONDS = 2.0


class StartRequest(NamedTuple):
    """A buyer's request to pay an order."""

    claim: Claim
    user_id: UUID
    order_id: UUID


class ReserveRequest(NamedTuple):
    """A request that needs its payment's row; `provider` is a name."""

    claim: Claim
    user_id: UUID
    order_id: UUID
    provider: str


_OWNERS = """
select w.n, organization_of_own_order(w.id, w.user_id)
  from json_to_recordset(%s::json) as w (n integer, id uuid, user_id uuid)"""


class PaymentReservations:
    """Commits batches of payments that are reserved."""

    waiting = WAITING.labels("payments to reserve")

    def __init__(self, group_commit: GroupCommit) -> None:
        self._group_commit = group_commit
        self._owners = OwnerLookup(group_commit, "owners of orders", _OWNERS)
        self._keys = RunningKeys()

    async def submit(self, request: ReserveRequest) -> Payment:
        """The order's open payment, inserted if there was none, committed.

        Raises:
            Unusual: `service.reserve_payment` decides it.
            Overloaded, Unavailable, Replay, IdempotencyMismatch, IdempotencyInFlight: see the classes.
        """
        with self._keys.running(request.claim):
            organization_id = await self._owners.find(id=request.order_id, user_id=request.user_id)
            if organization_id is None:
                raise Unusual
            pending = pend(request, Payment)
            self._group_commit.add(self, organization_id, pending)
            return await pending.response

    async def commit(
        self, connection: AsyncConnection, organization_id: UUID, batch: Sequence[Pending[ReserveRequest, Payment]]
    ) -> None:
        """See `group_commit.Committer`."""
        began, outcomes = time.perf_counter(), KeyedBatch(batch)
        async with batch_transaction(connection) as driver:
            await _reserve(driver, organization_id, batch, outcomes)
        observe_batch("payments to reserve", len(batch), time.perf_counter() - began)
        outcomes.deliver()

    def error_for_client(self, error: Exception) -> Exception:
        """See `group_commit.Committer`."""
        return Unusual()


_SELECT_OPEN = f"""
select p.* from json_array_elements_text(%s::json) as w (id)
 cross join lateral (select {", ".join(COLUMNS)} from payments
                      where organization_id = %s and order_id = w.id::uuid and status = 'pending' offset 0) as p"""  # noqa: S608
_INSERT = """
insert into payments (id, organization_id, order_id, provider, status, amount_minor, currency)
select id, organization_id, order_id, provider, 'pending', amount_minor, currency
  from json_to_recordset(%s::json) as w (id uuid, organization_id uuid, order_id uuid, provider text,
                                         amount_minor bigint, currency text)
returning id, created_at"""


async def _reserve(
    connection: DriverConnection,
    organization_id: UUID,
    batch: Sequence[Pending[ReserveRequest, Payment]],
    outcomes: KeyedBatch[ReserveRequest, Payment],
) -> None:
    order_ids = {pending.request.order_id for pending in batch}
    async with pipelined(connection):
        await tenancy.enter_on(connection, organization_id, LOCK_SECONDS)
        keys = await outcomes.claim(connection)
        locked = await orders.lock_order_rows(connection, organization_id, order_ids)
        payable = await orders.query_payable(connection, order_ids)
        selected = await send(connection, _SELECT_OPEN, rows(list(order_ids)), organization_id)
    outcomes.replay(*await keys.fetch())
    free, states = await locked.fetch(), await payable.fetch()
    open_payments = {payment.order_id: payment for payment in payments_of(await selected.fetchall())}
    reserved: dict[UUID, Payment] = {}
    for pending in outcomes.undecided:
        request = pending.request
        # Taken out: a second request for the same order is not the usual case.
        order = free.pop(request.order_id, None)
        if order is None or order.user_id != request.user_id or not is_payable(order, states):
            continue
        payment = open_payments.get(order.id)
        if payment is None:
            payment = reserved[order.id] = new_payment(order, request.provider)
        elif payment.provider_ref is None and payment.provider != request.provider:
            continue
        outcomes.answer(pending, payment)
    await _insert(connection, reserved)


async def _insert(connection: DriverConnection, reserved: dict[UUID, Payment]) -> None:
    """Insert the payments, by order, and commit."""
    names = ("id", "organization_id", "order_id", "provider", "amount_minor", "currency")
    new = [{name: getattr(payment, name) for name in names} for payment in reserved.values()]
    async with pipelined(connection) as round_trip:
        # The locks on the orders keep other requests from inserting a second open payment, which the index rejects.
        inserted = await send(connection, _INSERT, rows(new)) if new else None
        round_trip.commits = True
    times: dict[UUID, Any] = dict(await inserted.fetchall()) if inserted is not None else {}
    for payment in reserved.values():
        payment.created_at = times[payment.id]


def payments_of(found: Iterable[tuple[Any, ...]]) -> list[Payment]:
    return [Payment(**dict(zip(COLUMNS, row, strict=True))) for row in found]


def is_payable(order: orders.LockedOrder, states: dict[UUID, orders.Payable]) -> bool:
    state = states[order.id]
    return (
        order.status == orders.OrderStatus.PENDING
        and state.is_held
        and state.event_status == events.EventStatus.PUBLISHED
    )
