"""Reservations: timed holds of seats or places by one buyer, who buys them before the hold expires."""

from ticketing.modules.reservations import personal_data, retention
from ticketing.modules.reservations.api import router
from ticketing.modules.reservations.confirmation import confirm, release_confirmed
from ticketing.modules.reservations.confirmation_batch import confirm_holds, confirmed_message
from ticketing.modules.reservations.expiry import end_holds_of_cancelled_events, expire_due
from ticketing.modules.reservations.hold.batcher import Holds
from ticketing.modules.reservations.hold.buyers_now import HoldRules
from ticketing.modules.reservations.hold.fast_path import FastPathHolds
from ticketing.modules.reservations.hold_request import HoldRequest
from ticketing.modules.reservations.items import HeldItem, HoldRow
from ticketing.modules.reservations.messages import (
    ReservationCancelled,
    ReservationConfirmed,
    ReservationCreated,
    ReservationExpired,
    ReservationExtended,
)
from ticketing.modules.reservations.models import Reservation, ReservationItem, ReservationStatus
from ticketing.modules.reservations.purchase_limits import (
    LimitExceeded,
    check_limit,
    count_places,
    count_places_of_buyer,
    lock_address,
    lock_identities,
)
from ticketing.modules.reservations.queries import (
    get_reservation,
    has_lapsed,
    lapsed_places,
    lock_hold,
    lock_holds,
    lock_own_hold,
)

__all__ = [
    "FastPathHolds",
    "HeldItem",
    "HoldRequest",
    "HoldRow",
    "HoldRules",
    "Holds",
    "LimitExceeded",
    "Reservation",
    "ReservationCancelled",
    "ReservationConfirmed",
    "ReservationCreated",
    "ReservationExpired",
    "ReservationExtended",
    "ReservationItem",
    "ReservationStatus",
    "check_limit",
    "confirm",
    "confirm_holds",
    "confirmed_message",
    "count_places",
    "count_places_of_buyer",
    "end_holds_of_cancelled_events",
    "expire_due",
    "get_reservation",
    "has_lapsed",
    "lapsed_places",
    "lock_address",
    "lock_hold",
    "lock_holds",
    "lock_identities",
    "lock_own_hold",
    "personal_data",
    "release_confirmed",
    "retention",
    "router",
]
