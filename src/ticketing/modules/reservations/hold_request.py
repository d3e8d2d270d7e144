"""A request for a hold."""

from dataclasses import dataclass, field
from uuid import UUID

from ticketing.infra.http import idempotency


@dataclass(frozen=True, slots=True)
class BestAvailable:
    """A number of seats together, the best that are free; optionally of one category or section.

    They come on top of the seats that the request names, and are placed beside them.
    """

    quantity: int
    category: str | None = None
    section: str | None = None


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """What a buyer wants to hold, and the Idempotency-Key of the request."""

    user_id: UUID
    key: str
    #: Hash of the request's body: a client must not reuse a key with another body.
    fingerprint: idempotency.Fingerprint
    event_id: UUID
    seats: tuple[str, ...] = ()
    places: dict[UUID, int] = field(default_factory=dict)
    best_available: BestAvailable | None = None

    @property
    def quantity(self) -> int:
        best = self.best_available.quantity if self.best_available else 0
        return len(self.seats) + sum(self.places.values()) + best

    @property
    def seats_field(self) -> str:
        """The field of the body that chooses the seats; errors about seats point to it."""
        return "seats" if self.best_available is None else "best_available.quantity"

    @property
    def quantity_field(self) -> str:
        """The field of the body that sets the quantity; errors about limits point to it."""
        return self.seats_field if self.seats or self.best_available else "items"

    @property
    def caller(self) -> str:
        """The caller, as `security.identify` names it."""
        return f"user:{self.user_id}"

    @property
    def claim(self) -> idempotency.Claim:
        return idempotency.Claim(self.caller, self.key, self.fingerprint)
