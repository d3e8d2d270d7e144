"""Renders what must be readable without script: the list of events, and one event's facts. Everything is escaped."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

MAGNIFIER = "M11 4a7 7 0 1 0 0 14a7 7 0 0 0 0-14M16.5 16.5L21 21"

Event = Mapping[str, Any]
NO_MINOR_UNITS = {"JPY", "KRW", "CLP", "ISK", "VND", "XAF", "XOF", "XPF", "UGX", "PYG"}


def event_list(events: Sequence[Event], query: str) -> str:
    """Render the home page: search box first, then cards."""
    cards = "".join(_card(event) for event in events if _matches(event, query))
    shown = cards or "<p>No event matches. Try fewer or other words.</p>"
    return f"""
<section class="home"><h1>What would you like to see?</h1>
<form class="search" role="search" action="/" method="get"><label class="sr" for="q">Search events</label>
<svg class="icon" viewBox="0 0 24 24" width="20" height="20" aria-hidden="true"><path d="{MAGNIFIER}"/></svg>
<input id="q" name="q" type="search" data-testid="search" value="{escape(query)}">
<button class="button primary">Search</button></form>
<div class="cards" data-testid="events">{shown}</div></section>"""


def event_page(event: Event) -> str:
    """Render the facts of one event; the script draws the map and the panel below them."""
    types = "".join(
        f"<li><span>{escape(str(kind['name']))}</span> <strong>{money(kind['price'])}</strong></li>"
        for kind in event.get("ticket_types") or ()
    )
    about = escape(event.get("description") or "")
    return f"""
<article class="facts-only stack" data-testid="event-facts" data-plan="{escape(str(event.get("plan_version") or ""))}">
<header class="event-head"><h1>{escape(event["title"])}</h1>
<p class="muted">{_when(event, "%A, %d %B %Y, %H:%M")} · {_where(event)}</p></header>
{f'<p class="about">{about}</p>' if about else ""}<ul class="plain-prices">{types}</ul><p>{_left(event)}</p>
<noscript><p>Choosing seats needs JavaScript, which is switched off in this browser.</p></noscript></article>"""


def not_found_page() -> str:
    """Render the friendly answer to an address that leads nowhere."""
    return """
<section class="narrow stack" data-testid="not-found"><h1>There is nothing at this address</h1>
<p>The event may have been taken down, or the link lost a letter on its way to you.</p>
<p><a class="button primary" href="/">See all events</a></p></section>"""


def money(price: Mapping[str, Any] | None) -> str:
    """Write `{"amount": 4500, "currency": "EUR"}` as `EUR 45.00`."""
    if not price:
        return ""
    digits = 0 if price["currency"] in NO_MINOR_UNITS else 2
    return f"{escape(price['currency'])} {price['amount'] / 10**digits:,.{digits}f}"


def _card(event: Event) -> str:
    price = money(event.get("price_from"))
    from_price = f"from {price}" if price else ""
    return f"""
<a class="card" href="/e/{escape(str(event["id"]))}" data-testid="event-card">
<span class="date-block"><span>{_when(event, "%a")}</span><strong>{_when(event, "%-d")}</strong>
<span>{_when(event, "%b")}</span></span>
<span class="card-body"><span class="card-title">{escape(event["title"])}</span>
<span class="muted">{_where(event)}</span>
<span class="card-foot"><span>{from_price}</span><span class="muted">{_left(event)}</span></span></span></a>"""


def _when(event: Event, pattern: str) -> str:
    starts_at = event["starts_at"]
    moment = starts_at if isinstance(starts_at, datetime) else datetime.fromisoformat(str(starts_at))
    try:
        zone = ZoneInfo((event.get("venue") or {}).get("timezone") or "UTC")
    except (KeyError, ValueError):
        zone = ZoneInfo("UTC")
    return escape(moment.astimezone(zone).strftime(pattern))


def _where(event: Event) -> str:
    venue = event.get("venue") or {}
    return escape(", ".join(part for part in (venue.get("name"), venue.get("city")) if part))


def _left(event: Event) -> str:
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
