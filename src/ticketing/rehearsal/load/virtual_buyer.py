"""A virtual buyer: arrives, views the event, holds seats when the sale opens, then pays, cancels, or abandons them."""

import asyncio
import hashlib
import hmac
import time
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID, uuid4

import orjson

from ticketing.infra.config import get_settings
from ticketing.infra.security.access_tokens import issue_token
from ticketing.rehearsal import names
from ticketing.rehearsal.load.availability import Availability
from ticketing.rehearsal.load.http_client import HttpClient, NoResponse, Response
from ticketing.rehearsal.load.statistics import Statistics
from ticketing.rehearsal.load.workload import Workload

#: How often one request is sent: after 429 and 503, and after no response.
TRIES_MAX = 10
UNANSWERED_MAX = 3
BUSY = {429, 503}

#: The statuses that the API contract allows for each step.
EXPECTED = {
    "look": {200, 304},
    "hold": {201, 409},
    "cancel": {200, 409},
    "order": {201, 409},
    "pay": {201, 409},
    "webhook": {200, 202},
}


@dataclass(slots=True)
class BuyerContext:
    """What the virtual buyers of one load process share."""

    workload: Workload
    client: HttpClient
    availability: Availability
    statistics: Statistics


class VirtualBuyer:
    """One virtual buyer. The seed and the buyer's number determine its random choices."""

    def __init__(self, context: BuyerContext, index: int) -> None:
        self._workload, self._client = context.workload, context.client
        self._availability, self._statistics = context.availability, context.statistics
        self._number = self._workload.first_number + index
        self._user_id = UUID(self._workload.user_ids[index])
        self._random = Random(f"{self._workload.seed}:{self._number}")
        self._headers: dict[str, str] = {}

    async def run(self) -> None:
        """Everything that this buyer does. The outcome is counted in the statistics."""
        workload, random = self._workload, self._random
        # The square root of a uniform distribution: the arrival rate increases linearly until the opening.
        await _until(workload.opens_at - workload.ramp_seconds * (1 - random.random() ** 0.5))
        self._log_in()
        if workload.ramp_seconds:
            await self._request("look", "GET", f"/events/{workload.event_id}")
        await _until(workload.opens_at + random.random() * workload.herd_seconds)
        held = await self._hold()
        outcome = "went_home" if held is None else await self._decide(held)
        self._statistics.outcomes[outcome] += 1

    def _log_in(self) -> None:
        # Signed here: ten thousand log-ins take an hour of argon2, and happen long before a sale.
        self._headers = {
            "Authorization": f"Bearer {issue_token(self._user_id, uuid4())}",
            "X-Forwarded-For": names.address_of(self._number),
            "User-Agent": "ticketing-rehearsal",
        }

    async def _hold(self) -> dict[str, Any] | None:
        """Try to hold seats; None if no try succeeded."""
        for _ in range(self._workload.tries):
            await self._availability.refresh(self._get_availability)
            choice = self._availability.choose(self._random)
            if choice is None:
                # Abandoned seats become available when their holds expire.
                await self._pause(self._workload.hold_seconds / 3)
                continue
            body, key = {"event_id": self._workload.event_id, **choice}, uuid4().hex
            response = await self._request("hold", "POST", "/reservations", body, key)
            if response is None or response.status not in EXPECTED["hold"]:
                return None
            if response.status == 201:
                self._statistics.holds_by_second[int(time.time())] += 1
                await self._maybe_repeat(body, key, response)
                return _data(response)
            await self._pause(1)
        return None

    async def _get_availability(self) -> Response | None:
        return await self._request("look", "GET", f"/events/{self._workload.event_id}/availability")

    async def _maybe_repeat(self, body: dict[str, Any], key: str, first: Response) -> None:
        """Sometimes repeat the request, as browsers do: the response must be the first one, byte for byte."""
        if self._random.random() >= self._workload.replay_share:
            return
        again = await self._request("repeat", "POST", "/reservations", body, key, expected={201})
        if again is None:
            return
        self._statistics.replays += 1
        is_marked = again.headers.get(b"idempotency-replayed") == b"true"
        if (again.status, again.body) != (first.status, first.body) or not is_marked:
            description = f"a hold repeated with its Idempotency-Key got another response ({again.status})"
            self._statistics.record_error("replay", description)

    async def _decide(self, held: dict[str, Any]) -> str:
        await self._pause(self._workload.think_seconds)
        draw = self._random.random() - self._workload.abandon_share
        if draw < 0:
            return "abandoned"
        if draw < self._workload.cancel_share:
            response = await self._request("cancel", "DELETE", f"/reservations/{held['id']}")
            return "cancelled" if response is not None and response.status == 200 else "too_late"
        return await self._buy(held)

    async def _buy(self, held: dict[str, Any]) -> str:
        buyer = {"email": names.order_email(self._workload.run, self._number), "name": f"Rehearsal {self._number}"}
        body = {"reservation_id": held["id"], "buyer": buyer}
        ordered = await self._request("order", "POST", "/orders", body, uuid4().hex)
        if ordered is None or ordered.status != 201:
            return "too_late"
        order = _data(ordered)
        if order["status"] == "paid":
            return "bought"
        if not self._workload.payments:
            return "ordered"
        return await self._pay(order)

    async def _pay(self, order: dict[str, Any]) -> str:
        body = {"order_id": order["id"], "provider": "mock"}
        started = await self._request("pay", "POST", "/payments", body, uuid4().hex)
        if started is None or started.status != 201:
            return "too_late"
        await self._pause(self._workload.think_seconds / 2)
        accepted = await self._send_webhook(_data(started))
        return "bought" if accepted is not None and accepted.status == 200 else "payment_lost"

    async def _send_webhook(self, payment: dict[str, Any]) -> Response | None:
        """Send the mock provider's webhook that reports the payment, signed as docs/payments.md describes."""
        body = {
            "id": f"evt_{uuid4().hex}",
            "type": "payment.succeeded",
            "provider_ref": payment["provider_ref"],
            "amount": payment["amount"]["amount"],
            "currency": payment["amount"]["currency"],
        }
        raw, seconds = orjson.dumps(body), str(int(time.time()))
        secret = get_settings().mock_webhook_secret.get_secret_value().encode()
        digest = hmac.new(secret, f"{seconds}.".encode() + raw, hashlib.sha256).hexdigest()
        signature = {"Mock-Signature": f"t={seconds},v1={digest}"}
        return await self._send("webhook", "POST", "/payments/webhooks/mock", signature, raw, EXPECTED["webhook"])

    async def _request(
        self,
        step: str,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        key: str = "",
        expected: set[int] | None = None,
    ) -> Response | None:
        headers = {**self._headers, "Idempotency-Key": key} if key else self._headers
        raw = b"" if body is None else orjson.dumps(body)
        return await self._send(step, method, path, headers, raw, expected or EXPECTED[step])

    async def _send(
        self, step: str, method: str, path: str, headers: dict[str, str], raw: bytes, expected: set[int]
    ) -> Response | None:
        """Send until the platform is not busy; None after too many tries."""
        unanswered = 0
        if raw:
            headers = {**headers, "Content-Type": "application/json"}
        for _ in range(TRIES_MAX):
            try:
                response = await self._client.request(method, f"/api/v1{path}", headers, raw)
            except NoResponse as error:
                self._statistics.record_error("silence", f"{step}: {error}")
                unanswered += 1
                if unanswered == UNANSWERED_MAX:
                    return None
                await self._pause(1)
                continue
            self._statistics.record(step, response.status, response.seconds)
            wait = _wait_seconds(response)
            if wait is None:
                self._check(step, response, expected)
                return response
            await self._pause(1, at_least=wait)
        return None

    def _check(self, step: str, response: Response, expected: set[int]) -> None:
        if response.status >= 500:
            self._statistics.record_error("fault", _describe(step, response))
        elif response.status not in expected:
            self._statistics.record_error("surprise", _describe(step, response))

    async def _pause(self, up_to: float, at_least: float = 0.0) -> None:
        await asyncio.sleep(at_least + self._random.random() * up_to)


def _wait_seconds(response: Response) -> float | None:
    """The wait before a retry in seconds, if the platform requests one; None for a final response."""
    retry_after = response.headers.get(b"retry-after", b"")
    is_in_flight = response.status == 409 and b"idempotency_in_flight" in response.body
    if response.status in BUSY or is_in_flight:
        return float(retry_after) if retry_after.isdigit() else (1.0 if is_in_flight else None)
    return None


def _describe(step: str, response: Response) -> str:
    try:
        error = orjson.loads(response.body)["errors"][0]
        message = f"{error['code']}: {error['message']}"
    except (ValueError, KeyError, IndexError, TypeError):
        message = "no error envelope"
    correlation_id = response.headers.get(b"x-correlation-id", b"").decode("latin-1")
    return f"{step}: {response.status} {message} (correlation id {correlation_id})"


def _data(response: Response) -> dict[str, Any]:
    content: dict[str, Any] = orjson.loads(response.body)["data"]
    return content


async def _until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - time.time()))
