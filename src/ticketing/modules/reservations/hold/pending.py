"""A request for a hold while it waits for its batch, and the response."""

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from ticketing.infra.errors import TicketingError
from ticketing.infra.group_commit import Pending
from ticketing.modules.reservations.hold_request import HoldRequest


class HoldResponse(NamedTuple):
    """The response to the client; `outcome` is "held" or the error code."""

    status: int
    body: bytes
    outcome: str
    retry_after_seconds: int | None = None
    is_replay: bool = False


@dataclass(slots=True, eq=False)
class PendingHold(Pending[HoldRequest, HoldResponse]):
    """A request that waits for its batch. `seats` are the requested labels, and those chosen as the best available."""

    seats: tuple[str, ...] = ()
    #: Number of attempts that failed because another transaction had locked a seat or an allowance.
    contended: int = 0
    #: Lapsed holds of its event were expired after its first attempt: places that are still missing are sold out.
    has_swept: bool = False
    #: Why the batch did not decide it: to be retried, or refused without storing the response for its key.
    refusal: TicketingError | None = None

    @property
    def chosen(self) -> tuple[str, ...]:
        """The labels of the seats that were chosen as the best available."""
        return self.seats[len(self.request.seats) :]

    @property
    def subject_id(self) -> UUID:
        return self.request.event_id
