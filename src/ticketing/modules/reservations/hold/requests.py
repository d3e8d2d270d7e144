"""What somebody wants to hold, and what they are answered."""

import asyncio
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from ticketing.infra.errors import TicketingError
from ticketing.infra.http import idempotency
from ticketing.infra.log import Cause


@dataclass(frozen=True, slots=True)
class BestAvailable:
    """So many seats together, as good as can be had."""

    quantity: int
    category: str | None = None
    section: str | None = None


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """Who wants what, and under which Idempotency-Key."""

    user_id: UUID
    key: str
    #: Hash of the request's body: the same key with another body is a mistake of the client's.
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
        """Where the request says which seats: what a client would change to get others, or fewer."""
        return "seats" if self.best_available is None else "best_available.quantity"

    @property
    def quantity_field(self) -> str:
        """Where the request says how many it wants."""
        return self.seats_field if self.seats or self.best_available else "items"

    @property
    def caller(self) -> str:
        """As `security.identify` names them."""
        return f"user:{self.user_id}"


class Answer(NamedTuple):
    """What the client reads; `outcome` is "held" or the code of the refusal."""

    status: int
    body: bytes
    outcome: str
    retry_after_seconds: int | None = None
    is_replay: bool = False


@dataclass(slots=True, eq=False)
class Wish:
    """A request that waits for its batch. `seats` are the wanted ones, once the best available have been chosen."""

    request: HoldRequest
    cause: Cause
    answered: "asyncio.Future[Answer]"
    seats: tuple[str, ...] = ()
    #: How often it has met seats that somebody else was deciding about.
    contended: int = 0
    #: Its event was swept of lapsed holds for its sake: places that are not there now are sold out.
    has_swept: bool = False
    #: Why it is not decided in this batch, when it has to be tried again or refused without being remembered.
    refusal: TicketingError | None = None
