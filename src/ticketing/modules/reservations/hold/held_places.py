"""Decide whether a buyer may hold more: the places held at one time, and the rest of seats that were let go."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from ticketing.infra.errors import Conflict
from ticketing.modules import events
from ticketing.modules.reservations.hold.buyers_now import BuyerNow, BuyersNow
from ticketing.modules.reservations.purchase_limits import AllowanceContended, Buyer, LimitExceeded


class SeatResting(Conflict):
    """You let these seats go a moment ago: they are open to other buyers first; try again in a few seconds."""

    code, retry_after_seconds = "seat_resting", 5


@dataclass(slots=True)
class HeldPlaces:
    """What the buyers of a batch hold, and what the batch has granted to them so far."""

    #: The platform's setting; 0: no limit.
    limit: int
    buyers: BuyersNow
    _granted: dict[Buyer, int] = field(default_factory=dict)

    def check_limit(self, buyer: Buyer, sale: events.SaleTerms, wanted: int, field: str) -> None:
        """Check that this buyer may hold so many more places.

        Raises:
            AllowanceContended: another transaction counts this buyer's places.
            LimitExceeded: with `limit` and `left`.
        """
        limit = self._limit_of(sale)
        if limit is None:
            return
        if buyer in self.buyers.contended:
            raise AllowanceContended
        had = self._found(buyer).held + self._granted.get(buyer, 0)
        if had + wanted > limit:
            left = max(0, limit - had)
            message = f"One person may hold at most {limit} places of this event at one time; you can hold {left} more."
            raise LimitExceeded(message, field=field, limit=limit, left=left, counted="held_places")

    def _limit_of(self, sale: events.SaleTerms) -> int | None:
        if sale.max_held_per_buyer is not None:
            return sale.max_held_per_buyer
        # One order that the event allows is always possible.
        return max(self.limit, sale.max_per_order) if self.limit else None

    def check_rest(self, buyer: Buyer, seats: Iterable[tuple[int, str]], field: str) -> None:
        """Check that the buyer has let none of these seats go within the last seconds. Raises SeatResting."""
        resting = self._found(buyer).resting
        if resting and (again := [label for number, label in seats if number in resting]):
            error = SeatResting(field=field, seats=again)
            error.retry_after_seconds = self.buyers.rest_seconds
            raise error

    def take(self, buyer: Buyer, quantity: int) -> None:
        """Count a granted hold."""
        self._granted[buyer] = self._granted.get(buyer, 0) + quantity

    def _found(self, buyer: Buyer) -> BuyerNow:
        return self.buyers.found.get(buyer, _NOTHING)


_NOTHING = BuyerNow()
