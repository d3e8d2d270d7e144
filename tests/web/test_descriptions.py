"""What pages say about an event to programs: schema.org's Event, Open Graph tags, and the calendar entry of a sale."""

import json
import re
from datetime import datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from icalendar import Calendar

from tests.web.payloads import ID, NOW, after, event_of, money
from ticketing.web.descriptions import DESCRIPTION_LENGTH_MAX, structured_data
from ticketing.web.prerender import event_page
from ticketing.web.sale_calendar import sale_calendar
from ticketing.web.sales import Sale, sale_of
from ticketing.web.shell import render_event

SITE = "https://tickets.example"
URL = f"{SITE}/e/{ID}"
SENDER = "Tickets <post@tickets.example>"
HOSTILE = "</script><script>alert(1)</script><!--<script> \"'&amp;${x} $$ \u2028 \U0001f3ad"

#: Changes of an event, the state of its sale, and the availability of each of its offers.
SALES = [
    ({}, Sale.OPEN, "InStock InStock InStock"),
    ({"free": (0, 3, 0), "held": (0, 0, 2)}, Sale.OPEN, "SoldOut InStock OutOfStock"),
    ({"free": (0, 0, 0), "held": (0, 1, 0)}, Sale.ALL_TAKEN, "SoldOut OutOfStock SoldOut"),
    ({"free": (0, 0, 0)}, Sale.SOLD_OUT, "SoldOut SoldOut SoldOut"),
    ({"sales_start_at": after(1)}, Sale.NOT_YET, "PreOrder PreOrder PreOrder"),
    ({"sales_start_at": after(0)}, Sale.OPEN, "InStock InStock InStock"),
    ({"sales_end_at": after(0)}, Sale.OVER, "Discontinued Discontinued Discontinued"),
    ({"sales_end_at": after(0.01)}, Sale.OPEN, "InStock InStock InStock"),
    ({"starts_at": after(-24)}, Sale.OVER, "Discontinued Discontinued Discontinued"),
    ({"starts_at": after(-23)}, Sale.OPEN, "InStock InStock InStock"),
    ({"starts_at": after(-3), "ends_at": after(-1)}, Sale.OVER, "Discontinued Discontinued Discontinued"),
    ({"status": "cancelled", "free": (0, 0, 0)}, Sale.CANCELLED, "Discontinued Discontinued Discontinued"),
    ({"status": "completed"}, Sale.NOT_ON_SALE, "Discontinued Discontinued Discontinued"),
    ({"ticket_types": [], "availability": {"capacity": 0, "available": 0, "held": 0}}, Sale.OPEN, ""),
]


class Page(HTMLParser):
    """The parts of a page that programs read."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.properties: dict[str, str] = {}
        self.canonical = ""
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self._attributes: dict[str, str | None] | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "meta":
            name = attributes.get("property") or attributes.get("name")
            self.properties[str(name)] = str(attributes.get("content"))
        elif tag == "link" and attributes.get("rel") == "canonical":
            self.canonical = str(attributes["href"])
        elif tag == "script":
            self.scripts.append((attributes, ""))

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script" and self.scripts:
            attributes, text = self.scripts.pop()
            self.scripts.append((attributes, text + data))


def read(event: dict[str, Any]) -> Page:
    rendered = render_event(event, site=SITE).plain
    assert rendered is not None
    return Page(rendered.body.decode())


def schema_of(event: dict[str, Any], now: datetime = NOW) -> dict[str, Any]:
    block = structured_data(event, URL, now)
    found: dict[str, Any] = json.loads(
        block.removeprefix('<script type="application/ld+json">').removesuffix("</script>")
    )
    return found


@pytest.mark.parametrize(("changes", "sale", "availability"), SALES)
def test_every_state_of_a_sale_is_told_to_people_and_programs(
    changes: dict[str, Any], sale: Sale, availability: str
) -> None:
    event = event_of(**changes)
    assert sale_of(event, NOW) is sale
    offers = schema_of(event).get("offers", [])
    assert " ".join(offer["availability"].removeprefix("https://schema.org/") for offer in offers) == availability
    notice = re.search(r'data-testid="closed"><p>([^<]+)<', event_page(event, NOW))
    assert (notice is None) is (sale is Sale.OPEN)
    assert ("sale.ics" in event_page(event, NOW)) is (sale is Sale.NOT_YET)


def test_an_event_is_described_with_its_offers() -> None:
    event = event_of(sales_start_at="2030-01-05T09:00:00Z", sales_end_at="2030-06-01T16:00:00Z")
    described = schema_of(event | {"ends_at": "2030-06-01T21:30:00Z"})
    offers = described.pop("offers")
    assert described == {
        "@context": "https://schema.org",
        "@type": "Event",
        "name": "Late show",
        "url": URL,
        "description": "Bring a book.",
        "startDate": "2030-06-01T21:00:00+02:00",
        "endDate": "2030-06-01T23:30:00+02:00",
        "eventStatus": "https://schema.org/EventScheduled",
        "eventAttendanceMode": "https://schema.org/OfflineEventAttendanceMode",
        "location": {
            "@type": "Place",
            "name": "Hall",
            "address": {"@type": "PostalAddress", "addressLocality": "Utrecht", "addressCountry": "NL"},
        },
        "organizer": {"@type": "Organization", "name": "Tenant"},
    }
    assert [offer["name"] for offer in offers] == ["Balcony", "Stalls", "Standing"]
    assert offers[0] == {
        "@type": "Offer",
        "name": "Balcony",
        "price": "45.00",
        "priceCurrency": "EUR",
        "availability": "https://schema.org/PreOrder",
        "url": URL,
        "validFrom": "2030-01-05T10:00:00+01:00",
        "validThrough": "2030-06-01T18:00:00+02:00",
    }


def test_what_is_unknown_is_left_out() -> None:
    described = schema_of(event_of(venue=None, description=None, ticket_types=[]))
    assert not described.keys() & {"location", "description", "endDate", "offers"}
    described = schema_of(event_of(venue={"name": "Hall", "city": None, "country": None}, status="cancelled"))
    assert described["location"] == {"@type": "Place", "name": "Hall"}
    assert described["eventStatus"] == "https://schema.org/EventCancelled"


@pytest.mark.parametrize(
    ("price", "text"),
    [
        (money(0), "0.00"),
        (money(5), "0.05"),
        (money(10**12), "10000000000.00"),
        (money(4500, "JPY", 0), "4500"),
        (money(1, "TND", 3), "0.001"),
        (money(4500, "HUF"), "45.00"),
    ],
)
def test_prices_are_decimals_of_their_currency(price: dict[str, Any], text: str) -> None:
    offer = schema_of(event_of(price=price))["offers"][0]
    assert (offer["price"], offer["priceCurrency"]) == (text, price["currency"])


def test_a_shared_link_shows_the_event() -> None:
    page = read(event_of(description="Two  lines\nof text."))
    assert page.canonical == URL
    assert page.properties["description"] == page.properties["og:description"] == "Two lines of text."
    assert (page.properties["og:title"], page.properties["og:url"]) == ("Late show", URL)
    without = read(event_of(description=None)).properties["og:description"]
    assert without == "Saturday, 1 June 2030 at 21:00 (Amsterdam time), Hall, Utrecht"
    long = read(event_of(description="x" * 5000)).properties["og:description"]
    assert (len(long), long[-1]) == (DESCRIPTION_LENGTH_MAX, "…")


def test_no_text_of_an_organizer_ends_a_block_or_an_attribute() -> None:
    names = {"organization": {"name": HOSTILE}, "venue": {"name": HOSTILE, "city": HOSTILE, "country": "NL"}}
    event = event_of(title=HOSTILE, description=HOSTILE, **names)
    event["ticket_types"][1]["name"] = HOSTILE
    page, plain = read(event), read(event_of())
    assert [attributes for attributes, _ in page.scripts] == [attributes for attributes, _ in plain.scripts]
    assert page.properties.keys() == plain.properties.keys()
    assert page.properties["og:title"] == HOSTILE
    described = json.loads(
        next(text for attributes, text in page.scripts if attributes["type"] == "application/ld+json")
    )
    assert (described["name"], described["location"]["name"]) == (HOSTILE, HOSTILE)
    assert described["offers"][2]["name"] == HOSTILE


def test_the_start_of_a_sale_is_a_calendar_entry_with_a_reminder() -> None:
    event = event_of(title="Late, show\nEND:VCALENDAR", sales_start_at="2030-10-27T01:30:00+01:00")
    [entry] = Calendar.from_ical(sale_calendar(event, URL, SENDER)).walk("VEVENT")
    assert entry["summary"] == "Tickets on sale: Late, show\nEND:VCALENDAR"
    assert entry["dtstart"].to_ical() == b"20301027T003000Z"
    assert (entry["uid"], entry["url"]) == (f"{ID}-sale@ticketing", URL)
    assert (str(entry["STATUS"]), entry["SEQUENCE"]) == ("CONFIRMED", 0)
    moved = event | {"calendar_sequence": 2, "status": "cancelled"}
    calendar = Calendar.from_ical(sale_calendar(moved, URL, SENDER))
    [later] = calendar.walk("VEVENT")
    assert (later["UID"], later["SEQUENCE"], str(later["STATUS"])) == (entry["UID"], 2, "CANCELLED")
    assert str(calendar["METHOD"]) == "CANCEL"
    [alarm] = entry.walk("VALARM")
    assert alarm["trigger"].to_ical() == b"-PT10M"
