"""An order and its payment in one request: the two steps of `POST /orders` and `POST /payments`, one after the other.

Each step commits, and stores its response, under a key of its own. A retry goes on where the first attempt ended, and
a repeated request gets the two stored responses again.
"""

from collections.abc import Awaitable
from typing import Any
from uuid import UUID

import orjson
from starlette.requests import Request
from starlette.responses import Response

from ticketing.infra.http.idempotency import Claim, Replay
from ticketing.modules import iam, orders
from ticketing.modules.payments.providers import Provider
from ticketing.modules.payments.sale import opening
from ticketing.modules.payments.sale.reserve_batch import StartRequest
from ticketing.modules.payments.schemas import StartCheckout


async def check_out(
    request: Request, provider: Provider, claim: Claim, buyer: iam.Identity, wanted: StartCheckout
) -> Response:
    """201 with the order and its payment. Raises what the two steps raise; the order stays when the second fails."""
    order = orders.CreateOrder(reservation_id=wanted.reservation_id, buyer=wanted.buyer, promo_code=wanted.promo_code)
    ordering = orders.place_order(request, orders.OrderRequest(claim.of_step("order"), buyer.user_id, order))
    ordered, is_replay = await _do_once(ordering)
    payment = None
    if ordered["status"] == orders.OrderStatus.PENDING:
        start = StartRequest(claim.of_step("payment"), buyer.user_id, UUID(ordered["id"]))
        payment, is_replay = await _do_once(opening.start_payment(request, provider, start))
    body = {"success": True, "message": "Ordered", "data": {"order": ordered, "payment": payment}, "meta": None}
    headers = {"Idempotency-Replayed": "true"} if is_replay else None
    return Response(orjson.dumps(body), 201, headers, media_type="application/json")


async def _do_once(step: Awaitable[Response]) -> tuple[dict[str, Any], bool]:
    """The data of the step's response, and whether it had been stored before. Raises Replay for a stored error."""
    try:
        response, is_replay = await step, False
    except Replay as replay:
        if replay.status >= 300:
            raise
        response, is_replay = replay.response(), True
    data: dict[str, Any] = orjson.loads(response.body)["data"]
    return data, is_replay
