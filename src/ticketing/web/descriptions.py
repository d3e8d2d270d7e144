"""What a page says about itself to other programs: Open Graph tags, and schema.org's `Event` with its offers.

Titles and descriptions are written by organizers, so every value is escaped for the place where it stands.
"""

import json
from datetime import datetime
from html import escape
from typing import Any

from ticketing.infra.formats import currencies
from ticketing.infra.formats.local_time import to_zone
from ticketing.web.sales import Event, Price, Sale, list_prices, moment, sale_of

SITE_NAME = "Ticketing"
DESCRIPTION_LENGTH_MAX = 160

#: Availability of an offer while its sale is not open. While it is open, the counts decide.
_CLOSED = {Sale.NOT_YET: "PreOrder"} | dict.fromkeys((Sale.OVER, Sale.CANCELLED, Sale.NOT_ON_SALE), "Discontinued")
#: A data block ends at "</script>", and "<!--" changes how the rest is read: neither can be written without these.
_IN_SCRIPT = {ord(character): f"\\u{ord(character):04x}" for character in "<>&"}


def shorten(text: str) -> str:
    """One line of at most DESCRIPTION_LENGTH_MAX characters."""
    line = " ".join(text.split())
    return line if len(line) <= DESCRIPTION_LENGTH_MAX else f"{line[: DESCRIPTION_LENGTH_MAX - 1].rstrip()}…"


def share_tags(title: str, description: str, url: str) -> str:
    """The tags from which a shared link gets its preview. The arguments are text."""
    tags = {
        "og:type": "website",
        "og:site_name": SITE_NAME,
        "og:title": title,
        "og:description": description,
        "og:url": url,
    }
    lines = [f'<meta property="{name}" content="{escape(value)}">' for name, value in tags.items()]
    return "\n".join((f'<link rel="canonical" href="{escape(url)}">', *lines))


def structured_data(event: Event, url: str, now: datetime) -> str:
    """The event as JSON-LD. The browser does not execute a data block, so the content security policy allows it."""
    text = json.dumps(_as_schema(event, url, now), separators=(",", ":")).translate(_IN_SCRIPT)
    return f'<script type="application/ld+json">{text}</script>'


def _as_schema(event: Event, url: str, now: datetime) -> dict[str, Any]:
    sale = sale_of(event, now)
    status = "EventCancelled" if sale is Sale.CANCELLED else "EventScheduled"
    fields = {
        "@context": "https://schema.org",
        "@type": "Event",
        "name": event["title"],
        "url": url,
        "description": event.get("description"),
        "startDate": _local(event, "starts_at"),
        "endDate": _local(event, "ends_at"),
        "eventStatus": f"https://schema.org/{status}",
        "eventAttendanceMode": "https://schema.org/OfflineEventAttendanceMode",
        "location": _location(event),
        "organizer": {"@type": "Organization", "name": event["organization"]["name"]},
        "offers": [_offer(event, price, sale, url) for price in list_prices(event)],
    }
    return _without_gaps(fields)


def _offer(event: Event, price: Price, sale: Sale, url: str) -> dict[str, Any]:
    amount, currency = price.price["amount"], price.price["currency"]
    fields = {
        "@type": "Offer",
        "name": price.name,
        "price": str(currencies.to_decimal(amount, currency)),
        "priceCurrency": currency,
        "availability": f"https://schema.org/{_CLOSED.get(sale) or _stock(price)}",
        "url": url,
        "validFrom": _local(event, "sales_start_at"),
        "validThrough": _local(event, "sales_end_at"),
    }
    return _without_gaps(fields)


def _stock(price: Price) -> str:
    """Held places may come back, sold ones do not."""
    if price.available:
        return "InStock"
    return "OutOfStock" if price.held else "SoldOut"


def _location(event: Event) -> dict[str, Any] | None:
    venue = event.get("venue")
    if not venue:
        return None
    address = _without_gaps({"addressLocality": venue.get("city"), "addressCountry": venue.get("country")})
    place = {"@type": "Place", "name": venue["name"]}
    return place | ({"address": {"@type": "PostalAddress", **address}} if address else {})


def _local(event: Event, field: str) -> str | None:
    """A time of the event as ISO 8601 with the offset of its time zone."""
    value = event.get(field)
    return to_zone(moment(value), event["timezone"]).isoformat(timespec="seconds") if value else None


def _without_gaps(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, "", [])}
