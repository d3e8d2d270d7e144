"""The interface of payment providers: start payments, verify webhooks, send refunds.

Providers are called through `start` and `send_refund`, which bound the call in time and refuse an open transaction.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol
from uuid import UUID

from ticketing.infra.config import Settings
from ticketing.infra.errors import Invalid, NotFound, Unauthenticated
from ticketing.infra.system.outside_calls import assert_no_transaction
from ticketing.modules.payments.models import Payment, Refund

#: Limit of one call of a provider. Much longer than an ordinary answer takes, and shorter than a claim on a refund.
CALL_SECONDS = 10.0

#: `refund.created`: the provider has accepted a refund, the platform's or another. `dispute.created`: it has taken the
#: money of a disputed payment. `dispute.won`: it has given the money back. `dispute.lost`: the money is gone.
EventType = Literal[
    "payment.succeeded",
    "payment.failed",
    "refund.created",
    "refund.succeeded",
    "refund.failed",
    "dispute.created",
    "dispute.won",
    "dispute.lost",
]


class BadSignature(Unauthenticated):
    """This webhook is unsigned, signed with another secret, or too old."""

    code = "bad_signature"


class ProviderUnreachable(Exception):
    """The provider did not respond. The request may or may not have had an effect there."""


class RefundRefused(Exception):
    """The provider refuses this refund, and would refuse it again. The text is the provider's reason."""


class ProviderNotSetUp(Invalid):
    """This provider is not set up here."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """Where the buyer pays. A URL that begins with "/" is a page of the platform."""

    provider_ref: str
    checkout_url: str | None = None
    client_secret: str | None = None


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """A verified webhook in a provider-independent form. `amount_minor` is in minor units of `currency`.

    An event about a refund or dispute has the amount of this one refund or dispute, never a sum over several.
    """

    event_id: str
    type: EventType
    #: The provider's reference of the payment.
    provider_ref: str
    amount_minor: int
    currency: str
    body: dict[str, Any]
    #: The provider's reference of the refund or dispute. A refund's is the one that `Provider.refund` returns.
    object_ref: str | None = None
    #: The id of the platform's refund, if the provider repeats it.
    refund_id: UUID | None = None
    #: Why a refund failed, or a refund or dispute was begun.
    reason: str = ""


class Provider(Protocol):
    """One payment provider. It takes every amount from 1 to AMOUNT_MAX: a hold with a larger total is refused."""

    name: ClassVar[str]

    async def start(self, payment: Payment) -> Checkout:
        """Open the payment at the provider. Its id is the idempotency key: the same payment gets the same checkout.

        Raises:
            ProviderUnreachable: the provider may or may not have the payment.
        """
        ...

    def verify(self, headers: Mapping[str, str], raw: bytes) -> ProviderEvent:
        """Verify and parse a webhook.

        Raises:
            BadSignature: the signature is invalid or too old.
            BadRequest, ValidationError: the signature is valid, but the body is malformed.
        """
        ...

    async def refund(self, refund: Refund, payment: Payment) -> str:
        """Send a refund and return the provider's reference. The refund's id is the idempotency key.

        Raises:
            ProviderUnreachable: retry later.
            RefundRefused: it will never be accepted, and has had no effect.
        """
        ...


async def start(provider: Provider, payment: Payment) -> Checkout:
    """`Provider.start`, within CALL_SECONDS and outside of any transaction. Raises ProviderUnreachable."""
    async with _call(provider):
        return await provider.start(payment)


async def send_refund(provider: Provider, refund: Refund, payment: Payment) -> str:
    """`Provider.refund`, within CALL_SECONDS and outside of any transaction.

    Raises:
        ProviderUnreachable, RefundRefused.
    """
    async with _call(provider):
        return await provider.refund(refund, payment)


@asynccontextmanager
async def _call(provider: Provider) -> AsyncIterator[None]:
    assert_no_transaction(f"the payment provider {provider.name}")
    try:
        async with asyncio.timeout(CALL_SECONDS):
            yield
    except TimeoutError:
        raise ProviderUnreachable(f"{provider.name} did not answer within {CALL_SECONDS:.0f} s") from None


#: Creates a provider from the settings, or returns None when its secret is not set.
ProviderFactory = Callable[[Settings], Provider | None]
_factories: dict[str, ProviderFactory] = {}


def register(name: str, factory: ProviderFactory) -> None:
    """Register the factory of a provider."""
    _factories[name] = factory


def list_providers(settings: Settings) -> list[Provider]:
    """Return the providers that are configured."""
    return [provider for factory in _factories.values() if (provider := factory(settings)) is not None]


def find_provider(settings: Settings, name: str) -> Provider | None:
    """Return the provider, or None when it is unknown or not configured."""
    factory = _factories.get(name)
    return factory(settings) if factory is not None else None


def get_provider(settings: Settings, name: str) -> Provider:
    """Return the provider of a webhook URL. Raises NotFound when it is unknown or not configured."""
    provider = find_provider(settings, name)
    if provider is None:
        raise NotFound
    return provider


def choose_provider(settings: Settings, name: str) -> Provider:
    """Return the provider that a buyer chose. Raises ProviderNotSetUp."""
    provider = find_provider(settings, name)
    if provider is None:
        raise ProviderNotSetUp(f"{name} is not set up here.", field="provider")
    return provider
