"""Venues and their seating plans; a published version of a plan never changes."""

from ticketing.modules.venues import models
from ticketing.modules.venues.api import router
from ticketing.modules.venues.messages import VenueCreated, VenuePlanCreated
from ticketing.modules.venues.models import SeatingPlan, Venue
from ticketing.modules.venues.queries import (
    find_venue,
    get_plan,
    get_venue,
    list_venues_by_ids,
    plan_seats,
    venue_ids_in,
)

__all__ = [
    "SeatingPlan",
    "Venue",
    "VenueCreated",
    "VenuePlanCreated",
    "find_venue",
    "get_plan",
    "get_venue",
    "list_venues_by_ids",
    "plan_seats",
    "router",
    "venue_ids_in",
]
