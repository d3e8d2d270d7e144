"""The interface of payment providers: start payments, verify webhooks, send refunds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from ticketing.infra.config import Settings
from ticketing.infra.errors import Invalid, NotFound, Unauthenticated
from ticketing.modules.payments.models import Payment, Refund

EventType = Literal["payment.succeeded", "payment.failed", "refund.succeeded"]


class BadSignature(Unauthenticated):
    """This webhook is unsigned, signed with another secret, or too old."""

    code = "bad_signature"


class ProviderUnreachable(Exception):
    """The provider did not respond. The request may or may not have had an effect there."""


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
    """A verified webhook in a provider-independent form. `amount_minor` is in minor units of `currency`."""

    event_id: str
    type: EventType
    provider_ref: str
    amount_minor: int
    currency: str
    body: dict[str, Any]


class Provider(Protocol):
    """One payment provider. It takes every amount from 1 to AMOUNT_MAX: a hold with a larger total is refused."""

    name: ClassVar[str]

    async def start(self, payment: Payment) -> Checkout:
        """Open the payment at the provider. Idempotent: the same payment gets the same checkout."""
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
        """
        ...


#: Creates a provider from the settings, or returns None when its secret is not set.
ProviderFactory = Callable[[Settings], Provider | None]
_factories: dict[str, ProviderFactory] = {}


def register(name: str, factory: ProviderFactory) -> None:
    """Register the factory of a provider."""
    _factories[name] = factory


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
