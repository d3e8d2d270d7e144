"""The mock provider: a small payment service inside the package, for development and tests.

It keeps no state. What it tells us goes over HTTP to the same webhook that a real provider would call, signed the same
way, and its event ids follow from what happened, so that saying it twice has no second effect.
"""

import asyncio
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import httpx2
import orjson
from pydantic import Field, StringConstraints

from ticketing.infra import log
from ticketing.infra.config import Settings
from ticketing.infra.errors import BadRequest
from ticketing.infra.http.fields import AMOUNT_MAX, Body, Currency
from ticketing.modules.payments.models import Payment, Refund
from ticketing.modules.payments.providers import (
    BadSignature,
    Checkout,
    EventType,
    ProviderEvent,
    ProviderUnreachable,
    register,
)

WEBHOOK_PATH = "/api/v1/payments/webhooks/mock"
SIGNATURE_HEADER = "Mock-Signature"
TOLERANCE_SECONDS = 300
HEADER_LENGTH_MAX = 1000
SEND_TRIES_MAX = 3
SEND_TIMEOUT_SECONDS = 5
PAUSE_SECONDS = 0.2

_SECONDS = re.compile(r"[0-9]{1,12}")

Word = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,255}$")]


class MockEvent(Body):
    """The body of a webhook."""

    id: Word
    type: EventType
    provider_ref: Word
    amount: int = Field(ge=0, le=AMOUNT_MAX, strict=True)
    currency: Currency


@dataclass(frozen=True, slots=True)
class MockProvider:
    """Pays, declines and refunds at the push of a button."""

    name: ClassVar[str] = "mock"
    secret: str
    #: Where our own webhook can be reached, best first.
    base_urls: tuple[str, ...]
    #: Tests without a socket put the application itself here.
    transport: httpx2.AsyncBaseTransport | None = None

    async def start(self, payment: Payment) -> Checkout:
        """The reference opens the pay page, so it has to be as hard to guess as a token."""
        digest = hmac.new(self.secret.encode(), b"payment:" + payment.id.bytes, hashlib.sha256).hexdigest()
        return Checkout(provider_ref := f"mock_{digest[:32]}", f"/mock-pay/{provider_ref}")

    def verify(self, headers: Mapping[str, str], raw: bytes) -> ProviderEvent:
        """See Provider; the header is `Mock-Signature: t=<unix seconds>,v1=<hex hmac-sha256 of "<t>.<raw body>">`."""
        self._check_signature(headers.get(SIGNATURE_HEADER, ""), raw)
        try:
            body = orjson.loads(raw)
        except orjson.JSONDecodeError:
            raise BadRequest("The request body is not valid JSON.") from None
        event = MockEvent.model_validate(body)
        return ProviderEvent(event.id, event.type, event.provider_ref, event.amount, event.currency, body)

    def _check_signature(self, header: str, raw: bytes) -> None:
        parts = [part.partition("=") for part in header[:HEADER_LENGTH_MAX].split(",")]
        times = [value for name, _, value in parts if name.strip() == "t"]
        signatures = [value.strip() for name, _, value in parts if name.strip() == "v1"]
        if len(times) != 1 or not _SECONDS.fullmatch(times[0]):
            raise BadSignature
        # The one time limit by our own clock: it guards against replays of old requests and decides nothing else.
        if abs(time.time() - int(times[0])) > TOLERANCE_SECONDS:
            raise BadSignature
        expected = self._signature(times[0], raw).encode()
        # All are compared, in constant time: neither how much of one was right nor which one is told by the clock.
        if not any([hmac.compare_digest(expected, given.encode()) for given in signatures]):
            raise BadSignature

    def _signature(self, seconds: str, raw: bytes) -> str:
        return hmac.new(self.secret.encode(), f"{seconds}.".encode() + raw, hashlib.sha256).hexdigest()

    async def pay(self, payment: Payment) -> None:
        """Say that the money is there. Raises ProviderUnreachable."""
        await self._tell(f"evt_{payment.id.hex}_paid", "payment.succeeded", payment, payment.amount_minor)

    async def decline(self, payment: Payment) -> None:
        """Say that no money will come. Raises ProviderUnreachable."""
        await self._tell(f"evt_{payment.id.hex}_declined", "payment.failed", payment, payment.amount_minor)

    async def refund(self, refund: Refund, payment: Payment) -> str:
        """Give the money back and say so. Raises ProviderUnreachable."""
        await self._tell(f"evt_{refund.id.hex}", "refund.succeeded", payment, refund.amount_minor)
        return f"re_{refund.id.hex}"

    async def _tell(self, event_id: str, kind: EventType, payment: Payment, amount_minor: int) -> None:
        raw = orjson.dumps(
            {
                "id": event_id,
                "type": kind,
                "provider_ref": payment.provider_ref,
                "amount": amount_minor,
                "currency": payment.currency,
            }
        )
        # No proxy from the environment: this never leaves the machine, or goes to our own public address.
        async with httpx2.AsyncClient(
            transport=self.transport, timeout=SEND_TIMEOUT_SECONDS, trust_env=False
        ) as client:
            for number in range(SEND_TRIES_MAX):
                for base_url in self.base_urls:
                    if await self._send(client, base_url + WEBHOOK_PATH, raw):
                        return
                await asyncio.sleep(PAUSE_SECONDS * 2**number)
        raise ProviderUnreachable(f"{kind} could not be delivered")

    async def _send(self, client: httpx2.AsyncClient, url: str, raw: bytes) -> bool:
        seconds = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            SIGNATURE_HEADER: f"t={seconds},v1={self._signature(seconds, raw)}",
            "X-Correlation-ID": log.correlation_id.get(),
        }
        try:
            return (await client.post(url, content=raw, headers=headers)).is_success
        except httpx2.HTTPError:
            return False


_transport: httpx2.AsyncBaseTransport | None = None


def use_transport(transport: httpx2.AsyncBaseTransport | None) -> None:
    """Send webhooks this way from now on: tests reach the application without a socket."""
    global _transport
    _transport = transport


def make(settings: Settings) -> MockProvider | None:
    """None without a secret: an empty one would let everybody sign."""
    secret = settings.mock_webhook_secret.get_secret_value()
    if not secret:
        return None
    # Loopback first; a worker on another machine than the API finds it under its public address.
    urls = dict.fromkeys(
        filter(None, (settings.mock_webhook_url or f"http://127.0.0.1:{settings.port}", settings.public_url))
    )
    return MockProvider(secret, tuple(urls), _transport)


register(MockProvider.name, make)
