"""One buyer: arrives, looks, clicks with everybody else, and then buys, thinks better of it, or walks away."""

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
from ticketing.rehearsal.load.availability import Stock
from ticketing.rehearsal.load.http_client import Answer, NoAnswer, Wire
from ticketing.rehearsal.load.statistics import Tally
from ticketing.rehearsal.load.workload import Sale

#: How often one request is sent before a buyer gives up: after 429 and 503, and after silence.
PATIENCE = 10
SILENCES_MAX = 3
BUSY = {429, 503}

#: What the contract lets each step answer; everything else is a surprise.
FORESEEN = {
    "look": {200, 304},
    "hold": {201, 409},
    "cancel": {200, 409},
    "order": {201, 409},
    "pay": {201, 409},
    "webhook": {200, 202},
}


@dataclass(slots=True)
class Crowd:
    """What the buyers of one process share."""

    sale: Sale
    wire: Wire
    stock: Stock
    tally: Tally


class Buyer:
    """One of the crowd. All chance follows from the seed and the buyer's number."""

    def __init__(self, crowd: Crowd, index: int) -> None:
        self._sale, self._wire, self._stock, self._tally = crowd.sale, crowd.wire, crowd.stock, crowd.tally
        self._number = self._sale.first_number + index
        self._user_id = UUID(self._sale.user_ids[index])
        self._chance = Random(f"{self._sale.seed}:{self._number}")
        self._headers: dict[str, str] = {}

    async def live(self) -> None:
        """All that this buyer does, to the end; it is in the tally what became of them."""
        sale, chance = self._sale, self._chance
        # The root of an even chance: ever more people, the nearer the opening is.
        await _until(sale.opens_at - sale.ramp_seconds * (1 - chance.random() ** 0.5))
        self._log_in()
        if sale.ramp_seconds:
            await self._ask("look", "GET", f"/events/{sale.event_id}")
        await _until(sale.opens_at + chance.random() * sale.herd_seconds)
        held = await self._hold()
        end = "went_home" if held is None else await self._decide(held)
        self._tally.ends[end] += 1

    def _log_in(self) -> None:
        # Minted and not fetched: ten thousand log-ins are an hour of argon2, and happen long before a sale.
        self._headers = {
            "Authorization": f"Bearer {issue_token(self._user_id, uuid4())}",
            "X-Forwarded-For": names.address_of(self._number),
            "User-Agent": "ticketing-rehearsal",
        }

    async def _hold(self) -> dict[str, Any] | None:
        """Try for seats until there are some; None when it was not to be."""
        for _ in range(self._sale.tries):
            await self._stock.refresh(lambda: self._ask("look", "GET", f"/events/{self._sale.event_id}/availability"))
            wish = self._stock.wish(self._chance)
            if wish is None:
                # What others walk away from comes back when their holds run out.
                await self._pause(self._sale.hold_seconds / 3)
                continue
            body, key = {"event_id": self._sale.event_id, **wish}, uuid4().hex
            answer = await self._ask("hold", "POST", "/reservations", body, key)
            if answer is None or answer.status not in FORESEEN["hold"]:
                return None
            if answer.status == 201:
                self._tally.holds_by_second[int(time.time())] += 1
                await self._maybe_repeat(body, key, answer)
                return _data(answer)
            await self._pause(1)
        return None

    async def _maybe_repeat(self, body: dict[str, Any], key: str, first: Answer) -> None:
        """Some browsers send a request twice; the second has to read the first answer, byte for byte."""
        if self._chance.random() >= self._sale.replay_share:
            return
        again = await self._ask("repeat", "POST", "/reservations", body, key, foreseen={201})
        if again is None:
            return
        self._tally.replays += 1
        is_marked = again.headers.get(b"idempotency-replayed") == b"true"
        if (again.status, again.body) != (first.status, first.body) or not is_marked:
            self._tally.wrong("replay", f"a hold repeated with its Idempotency-Key was answered anew ({again.status})")

    async def _decide(self, held: dict[str, Any]) -> str:
        await self._pause(self._sale.think_seconds)
        fate = self._chance.random() - self._sale.abandon_share
        if fate < 0:
            return "abandoned"
        if fate < self._sale.cancel_share:
            answer = await self._ask("cancel", "DELETE", f"/reservations/{held['id']}")
            return "cancelled" if answer is not None and answer.status == 200 else "too_late"
        return await self._buy(held)

    async def _buy(self, held: dict[str, Any]) -> str:
        buyer = {"email": names.order_email(self._sale.run, self._number), "name": f"Rehearsal {self._number}"}
        body = {"reservation_id": held["id"], "buyer": buyer}
        ordered = await self._ask("order", "POST", "/orders", body, uuid4().hex)
        if ordered is None or ordered.status != 201:
            return "too_late"
        order = _data(ordered)
        if order["status"] == "paid":
            return "bought"
        if not self._sale.payments:
            return "ordered"
        return await self._pay(order)

    async def _pay(self, order: dict[str, Any]) -> str:
        body = {"order_id": order["id"], "provider": "mock"}
        started = await self._ask("pay", "POST", "/payments", body, uuid4().hex)
        if started is None or started.status != 201:
            return "too_late"
        await self._pause(self._sale.think_seconds / 2)
        taken = await self._tell_paid(_data(started))
        return "bought" if taken is not None and taken.status == 200 else "payment_lost"

    async def _tell_paid(self, payment: dict[str, Any]) -> Answer | None:
        """What the provider would say: the mock's webhook, signed as docs/api.md describes."""
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
        return await self._send("webhook", "POST", "/payments/webhooks/mock", signature, raw, FORESEEN["webhook"])

    async def _ask(
        self,
        step: str,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        key: str = "",
        foreseen: set[int] | None = None,
    ) -> Answer | None:
        headers = {**self._headers, "Idempotency-Key": key} if key else self._headers
        raw = b"" if body is None else orjson.dumps(body)
        return await self._send(step, method, path, headers, raw, foreseen or FORESEEN[step])

    async def _send(
        self, step: str, method: str, path: str, headers: dict[str, str], raw: bytes, foreseen: set[int]
    ) -> Answer | None:
        """Ask until there is an answer to the question; None when patience or the sale has come to its end first."""
        silences = 0
        if raw:
            headers = {**headers, "Content-Type": "application/json"}
        for _ in range(PATIENCE):
            try:
                answer = await self._wire.ask(method, f"/api/v1{path}", headers, raw)
            except NoAnswer as silence:
                self._tally.wrong("silence", f"{step}: {silence}")
                silences += 1
                if silences == SILENCES_MAX:
                    return None
                await self._pause(1)
                continue
            self._tally.note(step, answer.status, answer.seconds)
            wait = _wait_seconds(answer)
            if wait is None:
                self._judge(step, answer, foreseen)
                return answer
            await self._pause(1, at_least=wait)
        return None

    def _judge(self, step: str, answer: Answer, foreseen: set[int]) -> None:
        if answer.status >= 500:
            self._tally.wrong("fault", _describe(step, answer))
        elif answer.status not in foreseen:
            self._tally.wrong("surprise", _describe(step, answer))

    async def _pause(self, up_to: float, at_least: float = 0.0) -> None:
        await asyncio.sleep(at_least + self._chance.random() * up_to)


def _wait_seconds(answer: Answer) -> float | None:
    """How long we were asked to wait before we ask again; None for an answer that is one."""
    told = answer.headers.get(b"retry-after", b"")
    is_in_flight = answer.status == 409 and b"idempotency_in_flight" in answer.body
    if answer.status in BUSY or is_in_flight:
        return float(told) if told.isdigit() else (1.0 if is_in_flight else None)
    return None


def _describe(step: str, answer: Answer) -> str:
    try:
        error = orjson.loads(answer.body)["errors"][0]
        said = f"{error['code']}: {error['message']}"
    except (ValueError, KeyError, IndexError, TypeError):
        said = "no envelope"
    correlation_id = answer.headers.get(b"x-correlation-id", b"").decode("latin-1")
    return f"{step}: {answer.status} {said} (correlation id {correlation_id})"


def _data(answer: Answer) -> dict[str, Any]:
    content: dict[str, Any] = orjson.loads(answer.body)["data"]
    return content


async def _until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - time.time()))
