"""The one front to holding: `await holds.submit(request)`. How holds reach the database is known here only."""

import asyncio
import random

import orjson
from starlette.responses import Response

from ticketing.infra import errors, idempotency, metrics
from ticketing.infra.db import Database
from ticketing.infra.envelope import envelope
from ticketing.modules import events
from ticketing.modules.reservations.expiry import expire_due
from ticketing.modules.reservations.hold import HoldRequest, hold
from ticketing.modules.reservations.schemas import ReservationOut

#: A seat that somebody else has under lock at this moment is tried so often, then the answer is `seat_contended`.
CONTENDED_TRIES = 4
CONTENDED_WAIT_SECONDS = 0.02


class Holds:
    """Takes requests for holds, each in a transaction of its own; losers wait with no connection in their hands."""

    def __init__(self, database: Database, extensions_max: int) -> None:
        self._database, self._extensions_max = database, extensions_max

    async def submit(self, request: HoldRequest) -> Response:
        """The answer to one request, 201 with the reservation; it is committed when this returns.

        Raises:
            Replay: the request was answered before.
            TicketingError: what `hold` raises, and IdempotencyMismatch, IdempotencyInFlight.
        """
        with metrics.HOLD_SECONDS.time():
            try:
                response = await self._try_again_when_contended(request)
            except errors.TicketingError as error:
                metrics.HOLDS.labels(error.code).inc()
                await self._remember(request, error)
                raise
        metrics.HOLDS.labels("held").inc()
        return response

    async def _try_again_when_contended(self, request: HoldRequest) -> Response:
        for _ in range(CONTENDED_TRIES - 1):
            try:
                return await self._hold(request)
            except events.SeatContended:
                await asyncio.sleep(CONTENDED_WAIT_SECONDS * random.random())  # noqa: S311 (jitter)
            except events.SoldOut:
                # Places of holds that have run out are free, swept or not: sweep this event, and look again.
                if not await self._expire(request):
                    raise
        return await self._hold(request)

    async def _hold(self, request: HoldRequest) -> Response:
        async with self._database.transaction() as session:
            claim = await idempotency.open_claim(session, _caller(request), request.key, request.fingerprint)
            reservation, items = await hold(session, request)
            out = ReservationOut.of(reservation, items, self._extensions_max)
            body = envelope(out, "Held for you").model_dump(mode="json", exclude_none=False)
            response = Response(orjson.dumps(body), 201, media_type="application/json")
            await claim.remember(session, response)
        return response

    async def _expire(self, request: HoldRequest) -> int:
        async with self._database.transaction() as session:
            await events.get_event_on_sale(session, request.event_id)
            return await expire_due(session, event_id=request.event_id)

    async def _remember(self, request: HoldRequest, error: errors.TicketingError) -> None:
        claim = idempotency.Claim(_caller(request), request.key, request.fingerprint)
        await claim.remember_failure(self._database, errors.render(error), error)


def _caller(request: HoldRequest) -> str:
    return f"user:{request.user_id}"
