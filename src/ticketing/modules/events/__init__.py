"""Events, what is sold for them, and their seats: the only module that hands out, sells or frees a seat or a place."""

from ticketing.modules.events import models
from ticketing.modules.events.api import router
from ticketing.modules.events.inventory.best_seats import FreeSeats, read_free_seats
from ticketing.modules.events.inventory.expiry import HeldSeat, lock_held, release_held
from ticketing.modules.events.inventory.general_admission import (
    PlacesLost,
    SoldOut,
    lock_counters,
    mark_places_sold,
    release_places,
    retake_places,
)
from ticketing.modules.events.inventory.general_admission_batch import hold_places, lock_places, sell_places
from ticketing.modules.events.inventory.offers import (
    EventNotOnSale,
    Offer,
    SaleTerms,
    check_on_sale,
    find_organization,
    query_sale_terms,
)
from ticketing.modules.events.inventory.seat_batch import (
    FreeSeat,
    SeatHold,
    SeatKey,
    SeatSale,
    hold_locked,
    lock_seats,
    sell_held,
)
from ticketing.modules.events.inventory.seat_rows import SeatRows, rows_of_plan
from ticketing.modules.events.inventory.seats import (
    Retaken,
    SeatContended,
    SeatsLost,
    SeatTaken,
    SeatUnknown,
    extend_seats,
    find_lapsed_owners,
    release_seats,
    retake_seats,
    sell_seats,
)
from ticketing.modules.events.layout import PUBLIC_LAYOUT, get_layout
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
from ticketing.modules.events.public_pages import (
    describe_upcoming,
    find_published,
    render_event,
    render_list,
    render_seats,
)
from ticketing.modules.events.queries import (
    ends_at,
    get_event,
    get_own_event,
    get_public_event,
    is_finished,
    list_ticket_types,
)
from ticketing.modules.events.search import EventQuery, find_query
from ticketing.modules.events.service import complete_past_events

__all__ = [
    "PUBLIC_LAYOUT",
    "Event",
    "EventCancelled",
    "EventCompleted",
    "EventCreated",
    "EventNotOnSale",
    "EventPublished",
    "EventQuery",
    "EventSeat",
    "EventStatus",
    "EventUpdated",
    "FreeSeat",
    "FreeSeats",
    "HeldSeat",
    "Offer",
    "PlacesLost",
    "Retaken",
    "SaleTerms",
    "SeatContended",
    "SeatHold",
    "SeatKey",
    "SeatRows",
    "SeatSale",
    "SeatStatus",
    "SeatTaken",
    "SeatUnknown",
    "SeatsBlocked",
    "SeatsLost",
    "SeatsSynced",
    "SeatsUnblocked",
    "SoldOut",
    "TicketType",
    "TicketTypeCreated",
    "check_on_sale",
    "complete_past_events",
    "describe_upcoming",
    "ends_at",
    "extend_seats",
    "find_lapsed_owners",
    "find_organization",
    "find_published",
    "find_query",
    "get_event",
    "get_layout",
    "get_own_event",
    "get_public_event",
    "hold_locked",
    "hold_places",
    "is_finished",
    "list_ticket_types",
    "lock_counters",
    "lock_held",
    "lock_places",
    "lock_seats",
    "mark_places_sold",
    "query_sale_terms",
    "read_free_seats",
    "release_held",
    "release_places",
    "release_seats",
    "render_event",
    "render_list",
    "render_seats",
    "retake_places",
    "retake_seats",
    "router",
    "rows_of_plan",
    "sell_held",
    "sell_places",
    "sell_seats",
]
