"""Server-side HTML for pages that must be readable without JavaScript: the event list and one event.

All values are escaped.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from ticketing.infra.formats import currencies
from ticketing.infra.formats.local_time import clock, to_zone, zone_label

SEARCH_ICON = "M11 4a7 7 0 1 0 0 14a7 7 0 0 0 0-14M16.5 16.5L21 21"

Event = Mapping[str, Any]


def event_list(events: Sequence[Event], query: str) -> str:
    """Render the content of the home page: the search box, then one card per event."""
    cards = "".join(_card(event) for event in events if _matches(event, query))
    content = cards or "<p>No event matches. Try fewer or other words.</p>"
    return f"""
<section class="home"><h1>What would you like to see?</h1>
<form class="search" role="search" action="/" method="get"><label class="sr" for="q">Search events</label>
<svg class="icon" viewBox="0 0 24 24" width="20" height="20" aria-hidden="true"><path d="{SEARCH_ICON}"/></svg>
<input id="q" name="q" type="search" data-testid="search" value="{escape(query)}">
<button class="button primary">Search</button></form>
<div class="cards" data-testid="events">{content}</div></section>"""


def event_page(event: Event) -> str:
    """Render one event's date, venue, prices and availability; the script replaces it with the seat map and panel."""
    prices = "".join(
        f"<li><span>{escape(str(kind['name']))}</span> <strong>{format_money(kind['price'])}</strong></li>"
        for kind in event.get("ticket_types") or ()
    )
    text = escape(event.get("description") or "")
    description = f'<p class="about">{text}</p>' if text else ""
    return f"""
<article class="facts-only stack" data-testid="event-facts" data-plan="{escape(str(event.get("plan_version") or ""))}">
<header class="event-head"><h1>{escape(event["title"])}</h1>
<p class="muted">{_start_and_zone(event)} · {_place(event)}</p></header>
{description}<ul class="plain-prices">{prices}</ul><p>{_availability(event)}</p>
<noscript><p>Choosing seats needs JavaScript, which is switched off in this browser.</p></noscript></article>"""


def not_found_page() -> str:
    """Render the content of the 404 page."""
    return """
<section class="narrow stack" data-testid="not-found"><h1>There is nothing at this address</h1>
<p>The event may have been taken down, or the link lost a letter on its way to you.</p>
<p><a class="button primary" href="/">See all events</a></p></section>"""


def format_money(price: Mapping[str, Any] | None) -> str:
    """Format `{"amount": 4500, "currency": "EUR", "digits": 2}` as `€45.00`, like the page's script."""
    return escape(currencies.format_money(price["amount"], price["currency"], "en")) if price else ""


def _card(event: Event) -> str:
    price = format_money(event.get("price_from"))
    from_price = f"from {price}" if price else ""
    return f"""
<a class="card" href="/e/{escape(str(event["id"]))}" data-testid="event-card">
<span class="date-block"><span>{_format_start(event, "%a")}</span><strong>{_format_start(event, "%-d")}</strong>
<span>{_format_start(event, "%b")}</span></span>
<span class="card-body"><span class="card-title">{escape(event["title"])}</span>
<span class="muted">{_place(event)}</span>
<span class="card-foot"><span>{from_price}</span><span class="muted">{_availability(event)}</span></span></span></a>"""


def _format_start(event: Event, pattern: str) -> str:
    return escape(_local_start(event).strftime(pattern))


def _start_and_zone(event: Event) -> str:
    """The zone is always named: the server does not know the reader's."""
    start = _local_start(event)
    return escape(f"{start:%A, %-d %B %Y} at {clock(start)} ({zone_label(event['timezone'])})")


def _local_start(event: Event) -> datetime:
    starts_at = event["starts_at"]
    instant = starts_at if isinstance(starts_at, datetime) else datetime.fromisoformat(str(starts_at))
    return to_zone(instant, event["timezone"])


def _place(event: Event) -> str:
    venue = event.get("venue") or {}
    return escape(", ".join(part for part in (venue.get("name"), venue.get("city")) if part))


def _availability(event: Event) -> str:
    counts = event.get("availability") or {}
    if not counts.get("capacity"):
        return ""
    if not counts.get("available"):
        return "Sold out"
    return f"{counts['available']:,} of {counts['capacity']:,} left"


def _matches(event: Event, query: str) -> bool:
    venue = event.get("venue") or {}
    text = " ".join(str(part or "") for part in (event["title"], venue.get("name"), venue.get("city")))
    return query.strip().lower() in text.lower()
