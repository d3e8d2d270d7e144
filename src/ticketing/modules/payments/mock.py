"""The mock provider: a stateless payment service inside the package, for development and tests.

Its events go over HTTP to the webhook endpoint that a real provider would call, and are signed in the same way. Event
ids are derived from the payment or refund, so that a repeated event is deduplicated.
"""

import asyncio
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Self
from uuid import UUID

import httpx2
import orjson
from pydantic import Field, StringConstraints, model_validator

from ticketing.infra import log
from ticketing.infra.config import Settings
from ticketing.infra.errors import BadRequest
from ticketing.infra.http.fields import AMOUNT_MAX, Body, LongText
from ticketing.infra.system.outside_calls import assert_no_transaction
from ticketing.modules.payments.models import Payment, Refund
from ticketing.modules.payments.providers import (
    BadSignature,
    Checkout,
    EventType,
    ProviderEvent,
    ProviderUnreachable,
    RefundRefused,
    register,
)

WEBHOOK_PATH = "/api/v1/payments/webhooks/mock"
SIGNATURE_HEADER = "Mock-Signature"
TOLERANCE_SECONDS = 300
HEADER_LENGTH_MAX = 1000
SEND_TRIES_MAX = 3
SEND_TIMEOUT_SECONDS = 5
BACKOFF_SECONDS = 0.2
#: Reasons of refunds by which staff try out what a provider may do: refuse the refund, or accept it and fail later.
REFUSE, FAIL = "mock: refuse", "mock: fail"

_SECONDS = re.compile(r"[0-9]{1,12}")

Identifier = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,255}$")]


class MockEvent(Body):
    """The body of a webhook."""

    id: Identifier
    type: EventType
    provider_ref: Identifier
    amount: int = Field(ge=0, le=AMOUNT_MAX, strict=True)
    #: Compared with the payment's, which may have been withdrawn since.
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    #: Ignored: a client may copy the payment's amount as a whole.
    digits: int | None = Field(None, ge=0, le=4, strict=True)
    #: The reference of the refund or dispute. `refund.succeeded` without it is about a refund of the platform.
    object_ref: Identifier | None = None
    #: The platform's id of its refund.
    refund_id: UUID | None = None
    reason: LongText = ""

    @model_validator(mode="after")
    def _require_an_object(self) -> Self:
        needs_object = self.type.startswith("dispute.") or self.type in ("refund.created", "refund.failed")
        if needs_object and self.object_ref is None:
            raise ValueError(f"needs an object_ref for {self.type}")
        return self


@dataclass(frozen=True, slots=True)
class MockProvider:
    """Pays, declines, refunds and disputes when a button of the mock page is pressed."""

    name: ClassVar[str] = "mock"
    secret: str
    #: Base URLs of the platform's webhook endpoint, in order of preference.
    base_urls: tuple[str, ...]
    #: Tests pass the ASGI application here, so that no socket is needed.
    transport: httpx2.AsyncBaseTransport | None = None

    async def start(self, payment: Payment) -> Checkout:
        """Return the checkout. The reference grants access to the payment page, so it must be as random as a token."""
        digest = hmac.new(self.secret.encode(), b"payment:" + payment.id.bytes, hashlib.sha256).hexdigest()
        return Checkout(provider_ref := f"mock_{digest[:32]}", f"/mock-pay/{provider_ref}")

    def verify(self, headers: Mapping[str, str], raw: bytes) -> ProviderEvent:
        """See `Provider`. Header: `Mock-Signature: t=<unix seconds>,v1=<hex hmac-sha256 of "<t>.<raw body>">`."""
        self._check_signature(headers.get(SIGNATURE_HEADER, ""), raw)
        try:
            body = orjson.loads(raw)
        except orjson.JSONDecodeError:
            raise BadRequest("The request body is not valid JSON.") from None
        event = MockEvent.model_validate(body)
        names = (event.object_ref, event.refund_id, event.reason)
        return ProviderEvent(event.id, event.type, event.provider_ref, event.amount, event.currency, body, *names)

    def _check_signature(self, header: str, raw: bytes) -> None:
        parts = [part.partition("=") for part in header[:HEADER_LENGTH_MAX].split(",")]
        times = [value for name, _, value in parts if name.strip() == "t"]
        signatures = [value.strip() for name, _, value in parts if name.strip() == "v1"]
        if len(times) != 1 or not _SECONDS.fullmatch(times[0]):
            raise BadSignature
        # The only deadline that uses this process's clock instead of Postgres's: it only rejects replayed requests.
        if abs(time.time() - int(times[0])) > TOLERANCE_SECONDS:
            raise BadSignature
        expected = self._signature(times[0], raw).encode()
        # Compare all signatures in constant time: timing reveals neither how much of one matched nor which one did.
        if not any([hmac.compare_digest(expected, given.encode()) for given in signatures]):
            raise BadSignature

    def _signature(self, seconds: str, raw: bytes) -> str:
        return hmac.new(self.secret.encode(), f"{seconds}.".encode() + raw, hashlib.sha256).hexdigest()

    async def pay(self, payment: Payment) -> None:
        """Send `payment.succeeded`. Raises ProviderUnreachable when the webhook endpoint does not accept it."""
        await self._report("payment.succeeded", payment, payment.amount_minor, f"evt_{payment.id.hex}_paid")

    async def decline(self, payment: Payment) -> None:
        """Send `payment.failed`. Raises ProviderUnreachable when the webhook endpoint does not accept it."""
        await self._report("payment.failed", payment, payment.amount_minor, f"evt_{payment.id.hex}_declined")

    async def refund(self, refund: Refund, payment: Payment) -> str:
        """Send `refund.succeeded`, or what the refund's reason asks for: see REFUSE and FAIL.

        Raises:
            ProviderUnreachable: the webhook endpoint does not accept it.
            RefundRefused.
        """
        if refund.reason == REFUSE:
            raise RefundRefused("The mock provider refuses a refund with this reason.")
        kind: EventType = "refund.failed" if refund.reason == FAIL else "refund.succeeded"
        names = {"object_ref": (reference := f"re_{refund.id.hex}"), "refund_id": str(refund.id)}
        await self._report(kind, payment, refund.amount_minor, f"evt_{refund.id.hex}", **names)
        return reference

    async def refund_at_provider(self, payment: Payment) -> None:
        """Refund what is left of the payment, as in a provider's dashboard. Raises ProviderUnreachable."""
        left, reference = payment.amount_minor - payment.refunded_minor, f"re_{payment.id.hex}"
        await self._report("refund.succeeded", payment, left, f"evt_{reference}", object_ref=reference)

    async def dispute(self, payment: Payment) -> None:
        """Take what is left of the payment back, as a buyer's bank does. Raises ProviderUnreachable."""
        await self._report_dispute("dispute.created", payment, payment.amount_minor - payment.refunded_minor)

    async def end_dispute(self, payment: Payment, chargeback: Refund, is_won: bool) -> None:
        """Decide the dispute of a payment. Raises ProviderUnreachable."""
        await self._report_dispute("dispute.won" if is_won else "dispute.lost", payment, chargeback.amount_minor)

    async def _report_dispute(self, kind: EventType, payment: Payment, amount_minor: int) -> None:
        reference = f"dp_{payment.id.hex}"
        event_id = f"evt_{reference}_{kind.removeprefix('dispute.')}"
        await self._report(kind, payment, amount_minor, event_id, object_ref=reference)

    async def _report(self, kind: EventType, payment: Payment, amount_minor: int, event_id: str, **names: str) -> None:
        money = {"amount": amount_minor, "currency": payment.currency}
        body = {"id": event_id, "type": kind, "provider_ref": payment.provider_ref, **money, **names}
        await self._deliver(kind, orjson.dumps(body))

    async def _deliver(self, kind: EventType, raw: bytes) -> None:
        assert_no_transaction("the mock provider")
        # Ignore proxy settings of the environment: the target is this host or the platform's own public URL.
        async with httpx2.AsyncClient(
            transport=self.transport, timeout=SEND_TIMEOUT_SECONDS, trust_env=False
        ) as client:
            for attempt in range(SEND_TRIES_MAX):
                for base_url in self.base_urls:
                    if await self._send(client, base_url + WEBHOOK_PATH, raw):
                        return
                await asyncio.sleep(BACKOFF_SECONDS * 2**attempt)
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
    """Set the transport of all later webhooks, so that tests reach the application without a socket."""
    global _transport
    _transport = transport


def create_provider(settings: Settings) -> MockProvider | None:
    """Return None without a secret: with an empty secret anyone could sign webhooks."""
    secret = settings.mock_webhook_secret.get_secret_value()
    if not secret:
        return None
    # Loopback first. A worker on another machine than the API reaches it by its public URL.
    urls = dict.fromkeys(
        filter(None, (settings.mock_webhook_url or f"http://127.0.0.1:{settings.port}", settings.public_url))
    )
    return MockProvider(secret, tuple(urls), _transport)


register(MockProvider.name, create_provider)
