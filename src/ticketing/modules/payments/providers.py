"""What a payment provider is to us: it starts payments, signs what it tells us, and gives money back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from ticketing.infra.config import Settings
from ticketing.infra.errors import Invalid, NotFound, Unauthenticated
from ticketing.modules.payments.models import Payment, Refund

EventType = Literal["payment.succeeded", "payment.failed", "refund.succeeded"]


class BadSignature(Unauthenticated):
    """This webhook is not signed, or not by the provider, or too long ago."""

    code = "bad_signature"


class ProviderUnreachable(Exception):
    """The provider does not answer at the moment; nothing is known to have happened there."""


class ProviderNotSetUp(Invalid):
    """This provider is not set up here."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """Where the buyer pays. An address that begins with "/" is a page of our own."""

    provider_ref: str
    checkout_url: str | None = None
    client_secret: str | None = None


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """A verified webhook in our words; `amount_minor` is in minor units of `currency`."""

    event_id: str
    type: EventType
    provider_ref: str
    amount_minor: int
    currency: str
    body: dict[str, Any]


class Provider(Protocol):
    """One payment provider."""

    name: ClassVar[str]

    async def start(self, payment: Payment) -> Checkout:
        """Open a payment there. Called again for the same payment it gives the same checkout."""
        ...

    def verify(self, headers: Mapping[str, str], raw: bytes) -> ProviderEvent:
        """Read a webhook.

        Raises:
            BadSignature: it is not theirs, or too old.
            BadRequest, ValidationError: it is theirs, and can't be read.
        """
        ...

    async def refund(self, refund: Refund, payment: Payment) -> str:
        """Give the refund's amount back and answer the provider's own reference; the refund's id keeps it to once.

        Raises:
            ProviderUnreachable: try again.
        """
        ...


#: Makes a provider from the settings, or None when they lack its secrets.
Maker = Callable[[Settings], Provider | None]
_makers: dict[str, Maker] = {}


def register(name: str, maker: Maker) -> None:
    """Make a provider known under its name."""
    _makers[name] = maker


def find_provider(settings: Settings, name: str) -> Provider | None:
    """The provider, or None when it is unknown or not set up here."""
    maker = _makers.get(name)
    return maker(settings) if maker is not None else None


def get_provider(settings: Settings, name: str) -> Provider:
    """The provider that a webhook's address names. Raises NotFound: an endpoint without its secret does not exist."""
    provider = find_provider(settings, name)
    if provider is None:
        raise NotFound
    return provider


def choose_provider(settings: Settings, name: str) -> Provider:
    """The provider that a buyer names. Raises ProviderNotSetUp."""
    provider = find_provider(settings, name)
    if provider is None:
        raise ProviderNotSetUp(f"{name} is not set up here.", field="provider")
    return provider
