"""Create orders in batches: one organization, one transaction, two round trips, whatever its size.

    read     enter the organization, claim the keys, lock the holds in order of their ids, read their events
    write    orders, lines, responses, messages, and the commit

A batch decides the usual case. Anything else (a hold that is locked, ended, ordered or free of charge, a limit per
person) is left to `checkout.create_order` in a transaction of its own, with the same outcome as without batches.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from ticketing.infra import app_state, crash_points
from ticketing.infra.db import Database, tenancy
from ticketing.infra.db.pipeline import DriverConnection, pipelined
from ticketing.infra.group_commit import GroupCommit, OwnerLookup, Pending, Unusual, batch_transaction
from ticketing.infra.group_commit.keyed_batch import Answer, KeyedBatch, RunningKeys, pend
from ticketing.infra.group_commit.metrics import WAITING, observe_batch
from ticketing.infra.http import idempotency
from ticketing.infra.http.envelope import as_json, envelope
from ticketing.infra.http.idempotency import Claim
from ticketing.infra.outbox.publish import append, message_of
from ticketing.modules import events, reservations
from ticketing.modules.orders.checkout import (
    OrderContext,
    create_order,
    describe_new,
    insert_orders,
    new_order,
    query_contexts,
)
from ticketing.modules.orders.messages import OrderCreated
from ticketing.modules.orders.models import Order
from ticketing.modules.orders.references import new_reference
from ticketing.modules.orders.schemas import CreateOrder, OrderOut

LOCK_SECONDS = 2.0

_OWNERS = """
select w.n, organization_of_own_hold(w.id, w.user_id)
  from json_to_recordset(%s::json) as w (n integer, id uuid, user_id uuid)"""


class OrderRequest(NamedTuple):
    """A buyer's request for an order."""

    claim: Claim
    user_id: UUID
    wanted: CreateOrder


class OrderBatches:
    """Submits requests for orders to the group commit, and commits batches of them."""

    waiting = WAITING.labels("orders")

    def __init__(self, database: Database, group_commit: GroupCommit) -> None:
        self._database, self._group_commit = database, group_commit
        self._owners = OwnerLookup(group_commit, "owners of reservations", _OWNERS)
        self._keys = RunningKeys()

    async def submit(self, request: OrderRequest) -> Answer:
        """Create the order. The returned response is committed.

        Raises:
            Unusual: `checkout.create_order` decides it.
            Overloaded, Unavailable, Replay, IdempotencyMismatch, IdempotencyInFlight: see the classes.
        """
        with self._keys.running(request.claim):
            organization_id = await self._owners.find(id=request.wanted.reservation_id, user_id=request.user_id)
            if organization_id is None:
                raise Unusual
            pending = pend(request, Answer)
            self._group_commit.add(self, organization_id, pending)
            return await pending.response

    async def commit(
        self, connection: AsyncConnection, organization_id: UUID, batch: Sequence[Pending[OrderRequest, Answer]]
    ) -> None:
        """See `group_commit.Committer`."""
        began = time.perf_counter()
        orders = _Batch(organization_id, batch)
        try:
            async with batch_transaction(connection) as driver:
                await orders.run(driver)
        finally:
            # Also after an error: when the commit itself fails, the server may have committed.
            if orders.event_ids:
                self._database.notify_changed(orders.event_ids, {OrderCreated.topic})
        crash_points.at("after_commit_before_ack")
        observe_batch("orders", len(batch), time.perf_counter() - began)
        orders.outcomes.deliver()

    def error_for_client(self, error: Exception) -> Exception:
        """See `group_commit.Committer`."""
        return Unusual()


_Hold = tuple[reservations.HoldRow, list[reservations.HeldItem]]


class _Batch:
    """Requests of one organization, decided together."""

    def __init__(self, organization_id: UUID, batch: Sequence[Pending[OrderRequest, Answer]]) -> None:
        self._organization_id, self._batch = organization_id, batch
        self.outcomes = KeyedBatch(batch)
        #: Events about which messages are published.
        self.event_ids: set[UUID] = set()

    async def run(self, connection: DriverConnection) -> None:
        references = {pending.request.wanted.reservation_id: new_reference() for pending in self._batch}
        async with pipelined(connection):
            await tenancy.enter_on(connection, self._organization_id, LOCK_SECONDS)
            keys = await self.outcomes.claim(connection)
            locked = await reservations.lock_holds(connection, self._organization_id, references)
            selected = await query_contexts(connection, references)
        self.outcomes.replay(*await keys.fetch())
        holds, contexts = await locked.fetch(), await selected.fetch()
        created: list[tuple[Order, list[reservations.HeldItem]]] = []
        messages = []
        for pending in self.outcomes.undecided:
            wanted = pending.request.wanted
            # Taken out: a second request for the same hold is not the usual case.
            hold, context = holds.pop(wanted.reservation_id, None), contexts.get(wanted.reservation_id)
            if hold is None or context is None or not _is_usual(pending.request, hold[0], context):
                continue
            order = new_order(hold[0], wanted, references[wanted.reservation_id])
            created.append((order, hold[1]))
            messages.append(message_of(OrderCreated.of(order), pending.cause))
            out: OrderOut = describe_new(order, *hold, context)
            self.outcomes.answer(pending, Answer(201, as_json(envelope(out, "Ordered"))))
            self.event_ids.add(order.event_id)
        async with pipelined(connection) as round_trip:
            if created:
                await insert_orders(connection, created)
                await append(connection, self._organization_id, messages)
            await self.outcomes.store(connection)
            round_trip.commits = True


def _is_usual(request: OrderRequest, hold: reservations.HoldRow, context: OrderContext) -> bool:
    """Whether `checkout.create_order` would do nothing but insert the order and its lines."""
    return (
        hold.user_id == request.user_id
        and hold.is_running
        and hold.total_minor > 0
        and context.order_id is None
        and not context.is_reference_taken
        and context.event_status == events.EventStatus.PUBLISHED
        and context.max_per_buyer is None
        and request.wanted.promo_code is None
    )


async def place_order(request: Request, wanted: OrderRequest) -> Response:
    """201 with the order, committed in a batch or alone.

    Raises:
        Replay, and errors of `OrderBatches.submit` and `checkout.create_order`.
    """
    try:
        return (await app_state.of(request.app).get(OrderBatches).submit(wanted)).as_response()
    except Unusual:
        pass

    async def create(session: AsyncSession) -> Response:
        order = await create_order(session, wanted.user_id, wanted.wanted)
        return Answer(201, as_json(envelope(order, "Ordered"))).as_response()

    return await idempotency.respond_once(request, wanted.claim, wanted.user_id, create)
