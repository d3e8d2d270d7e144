"""Whether an event's tickets can be bought now, and how its prices are listed. `js/buying/sale.js` decides alike.

Pages are rendered again at least once per second (decision 37), so they may depend on the clock.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

Event = Mapping[str, Any]

#: An event without an end is over this long after its start, as in `events.query_sale_terms`.
ASSUMED_LENGTH = timedelta(days=1)


class Sale(StrEnum):
    """The state of an event's sale."""

    OPEN = "open"
    NOT_YET = "not_yet"
    OVER = "over"
    CANCELLED = "cancelled"
    #: A draft, or completed.
    NOT_ON_SALE = "not_on_sale"
    #: Nothing is available, and some of it is held: what is not paid for comes back.
    ALL_TAKEN = "all_taken"
    SOLD_OUT = "sold_out"


class Price(NamedTuple):
    """One line of the list of prices: a category of seats, or places of a ticket type."""

    name: str
    price: Mapping[str, Any]
    available: int
    held: int


def sale_of(event: Event, now: datetime) -> Sale:
    """The state of the sale of an event, which is a payload of the REST API."""
    if event["status"] == "cancelled":
        return Sale.CANCELLED
    if event["status"] != "published":
        return Sale.NOT_ON_SALE
    if event.get("sales_start_at") and moment(event["sales_start_at"]) > now:
        return Sale.NOT_YET
    ends_at = moment(event["ends_at"]) if event.get("ends_at") else moment(event["starts_at"]) + ASSUMED_LENGTH
    if ends_at <= now or (event.get("sales_end_at") and moment(event["sales_end_at"]) <= now):
        return Sale.OVER
    counts = event.get("availability") or {}
    if not counts.get("capacity") or counts["available"]:
        return Sale.OPEN
    return Sale.ALL_TAKEN if counts.get("held") else Sale.SOLD_OUT


def list_prices(event: Event) -> Iterator[Price]:
    """The prices in the order of the ticket types: categories that have seats, and places."""
    seats = (event.get("availability") or {}).get("categories") or {}
    for kind in event.get("ticket_types") or ():
        for category in kind["categories"]:
            if counts := seats.get(category):
                yield Price(category, kind["price"], counts["available"], counts["held"])
        if not kind["categories"]:
            yield Price(kind["name"], kind["price"], kind["available"] or 0, kind["held"] or 0)


def moment(value: datetime | str) -> datetime:
    """A time of a payload."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)
