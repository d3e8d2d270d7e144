"""Events, what is sold for them, and their seats: the only module that hands out, sells or frees a seat or a place."""

from ticketing.modules.events import models  # noqa: F401 (registers the tables)
from ticketing.modules.events.api import router
from ticketing.modules.events.areas import (
    PlacesLost,
    SoldOut,
    TicketTypeUnknown,
    mark_places_sold,
    release_places,
    retake_places,
    take_places,
)
from ticketing.modules.events.best_seats import find_best_available
from ticketing.modules.events.messages import (
    EventCancelled,
    EventCompleted,
    EventCreated,
    EventPublished,
    EventUpdated,
    SeatsBlocked,
    SeatsSynced,
    SeatsUnblocked,
    TicketTypeCreated,
)
from ticketing.modules.events.models import Event, EventSeat, EventStatus, SeatStatus, TicketType
from ticketing.modules.events.queries import (
    EventNotOnSale,
    ends_at,
    get_event,
    get_event_on_sale,
    get_own_event,
    get_public_event,
    list_ticket_types,
    prices_by_category,
)
from ticketing.modules.events.seats import (
    Retaken,
    SeatContended,
    SeatsLost,
    SeatTaken,
    SeatUnknown,
    Taken,
    TakenSeat,
    extend_seats,
    mark_sold,
    release_seats,
    retake_seats,
    take_seats,
)
from ticketing.modules.events.service import complete_past_events
from ticketing.modules.events.showcase import describe_upcoming, find_published
from ticketing.modules.events.sweep import HeldSeat, release_held

__all__ = [
    "Event",
    "EventCancelled",
    "EventCompleted",
    "EventCreated",
    "EventNotOnSale",
    "EventPublished",
    "EventSeat",
    "EventStatus",
    "EventUpdated",
    "HeldSeat",
    "PlacesLost",
    "Retaken",
    "SeatContended",
    "SeatStatus",
    "SeatTaken",
    "SeatUnknown",
    "SeatsBlocked",
    "SeatsLost",
    "SeatsSynced",
    "SeatsUnblocked",
    "SoldOut",
    "Taken",
    "TakenSeat",
    "TicketType",
    "TicketTypeCreated",
    "TicketTypeUnknown",
    "complete_past_events",
    "describe_upcoming",
    "ends_at",
    "extend_seats",
    "find_best_available",
    "find_published",
    "get_event",
    "get_event_on_sale",
    "get_own_event",
    "get_public_event",
    "list_ticket_types",
    "mark_places_sold",
    "mark_sold",
    "prices_by_category",
    "release_held",
    "release_places",
    "release_seats",
    "retake_places",
    "retake_seats",
    "router",
    "take_places",
    "take_seats",
]
