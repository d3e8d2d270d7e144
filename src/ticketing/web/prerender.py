"""Server-side HTML for pages that must be readable without JavaScript: the event list and one event.

Order, words and formats are those of the script (`js/words/en.js`), so that nothing moves when it takes over. All
values are escaped. An element with a text of an organizer has `dir="auto"`; within a longer text it is isolated.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from ticketing.infra.formats import currencies
from ticketing.infra.formats.directions import isolate
from ticketing.infra.formats.local_time import clock, to_zone, zone_label
from ticketing.web.sales import Event, Price, Sale, list_prices, moment, sale_of

SEARCH_ICON = "M11 4a7 7 0 1 0 0 14a7 7 0 0 0 0-14M16.5 16.5L21 21"

#: What is said of a sale; nothing while it is open.
SALE_WORDS = {
    Sale.CANCELLED: "This event has been cancelled. Tickets that were bought are refunded.",
    Sale.NOT_ON_SALE: "This event is not on sale.",
    Sale.NOT_YET: "The sale begins on {date}.",
    Sale.OVER: "The sale for this event is over.",
    Sale.ALL_TAKEN: "Nothing is free right now. What others hold and do not pay for comes back, and is shown here.",
    Sale.SOLD_OUT: "This event is sold out.",
}


def event_list(events: Sequence[Event], query: str) -> str:
    """Render the content of the home page: the search box, then one card per event."""
    cards = "".join(_card(event) for event in events)
    content = cards or '<p class="muted">No event matches. Try fewer or other words.</p>'
    return f"""
<section class="home"><h1>What would you like to see?</h1>
<form class="search" role="search" action="/" method="get"><label class="sr" for="q">Search events</label>
<svg class="icon" viewBox="0 0 24 24" width="20" height="20" aria-hidden="true"><path d="{SEARCH_ICON}"/></svg>
<input id="q" name="q" type="search" dir="auto" data-testid="search" value="{escape(query)}">
<button class="button primary">Search</button></form>
<div class="cards" data-testid="events">{content}</div></section>"""


def event_page(event: Event, now: datetime) -> str:
    """Render an event's facts, its sale and its prices; the script replaces them with the seat map and the panel."""
    facts = "".join(f"<span>{fact}</span>" for fact in (_start(event), _place(event), _organizer(event)) if fact)
    text = escape(event.get("description") or "")
    description = f'<p class="about" dir="auto">{text}</p>' if text else ""
    return f"""
<article class="facts-only stack" data-testid="event-facts" data-plan="{escape(str(event.get("plan_version") or ""))}">
<header class="event-head"><h1 dir="auto">{escape(event["title"])}</h1>
<p class="facts muted">{facts}</p>{description}</header>
{_sale(event, now)}{_prices(event)}
<noscript><p>Choosing seats needs JavaScript, which is switched off in this browser.</p></noscript></article>"""


def describe_event(event: Event) -> str:
    """The event in one line of text, for links to its page: its description, or else when and where it takes place."""
    parts = (_start_text(event), _place_text(event))
    return event.get("description") or ", ".join(part for part in parts if part)


def script_page(title: str, need: str) -> str:
    """Render the content of a page that a script fills: its heading, and what the page needs that has no script."""
    return f"""
<section class="narrow stack"><h1>{escape(title)}</h1>
<noscript><p data-testid="need">{escape(need)}</p></noscript></section>"""


def not_found_page() -> str:
    """Render the content of the 404 page."""
    return """
<section class="narrow stack" data-testid="not-found"><h1>There is nothing at this address</h1>
<p>The event may have been taken down, or the link lost a letter on its way to you.</p>
<p><a class="button primary" href="/">See all events</a></p></section>"""


def format_money(price: Mapping[str, Any]) -> str:
    """Format `{"amount": 4500, "currency": "EUR", "digits": 2}` as `€45.00`, like the page's script."""
    return escape(currencies.format_money(price["amount"], price["currency"], "en"))


def _sale(event: Event, now: datetime) -> str:
    """The notice above the prices, and the calendar entry of a sale that has not begun."""
    sale = sale_of(event, now)
    if sale is Sale.OPEN:
        return f"<p>{_availability(event)}</p>" if _availability(event) else ""
    date = _long_date_time(event, "sales_start_at") if sale is Sale.NOT_YET else ""
    words = f"<p>{escape(SALE_WORDS[sale].format(date=date))}</p>"
    if sale is Sale.NOT_YET:
        href = f"/e/{escape(str(event['id']))}/sale.ics"
        words += f'<p><a class="button small" href="{href}">Add the sale to your calendar</a></p>'
    return f'<div class="closed" data-testid="closed">{words}</div>'


def _prices(event: Event) -> str:
    rows = "".join(_price(price) for price in list_prices(event))
    return f'<h2>Prices</h2><ul class="plain-prices">{rows}</ul>' if rows else ""


def _price(price: Price) -> str:
    left = f"{price.available:,} left" if price.available else "none left"
    amount = format_money(price.price) if price.price["amount"] else "Free"
    return (
        f'<li><span class="grow" dir="auto">{escape(price.name)}</span> <span class="muted small-text">{left}</span>'
        f" <strong>{amount}</strong></li>"
    )


def _card(event: Event) -> str:
    when_and_where = " · ".join(part for part in (_clock_text(event), _place_text(event)) if part)
    return f"""
<a class="card" href="/e/{escape(str(event["id"]))}" data-testid="event-card">
<span class="date-block"><span>{_format_start(event, "%a")}</span><strong>{_format_start(event, "%-d")}</strong><span
>{_format_start(event, "%b")}</span></span>
<span class="card-body"><span class="card-title" dir="auto">{escape(event["title"])}</span>
<span class="muted">{escape(when_and_where)}</span>
<span class="card-foot">{_price_from(event)}{_card_availability(event)}</span></span></a>"""


def _price_from(event: Event) -> str:
    price = event.get("price_from")
    if not price:
        return ""
    return f"<strong>{f'from {format_money(price)}' if price['amount'] else 'free and up'}</strong>"


def _card_availability(event: Event) -> str:
    text, counts = _availability(event), event.get("availability") or {}
    if text and not counts["available"]:
        return f'<span class="tag">{text}</span>'
    return f'<span class="card-left"><span class="muted small-text">{text}</span></span>' if text else ""


def _format_start(event: Event, pattern: str) -> str:
    return escape(_local(event, "starts_at").strftime(pattern))


def _start(event: Event) -> str:
    starts_at = moment(event["starts_at"]).isoformat()
    return f'<time datetime="{escape(starts_at)}">{escape(_start_text(event))}</time>'


def _start_text(event: Event) -> str:
    return _long_date_time(event, "starts_at")


def _long_date_time(event: Event, field: str) -> str:
    """The zone is always named: the server does not know the reader's."""
    local = _local(event, field)
    return f"{local:%A, %-d %B %Y} at {clock(local)} ({zone_label(event['timezone'])})"


def _clock_text(event: Event) -> str:
    return f"{clock(_local(event, 'starts_at'))} ({zone_label(event['timezone'])})"


def _local(event: Event, field: str) -> datetime:
    return to_zone(moment(event[field]), event["timezone"])


def _place(event: Event) -> str:
    return escape(_place_text(event))


def _place_text(event: Event) -> str:
    venue = event.get("venue") or {}
    return ", ".join(isolate(part) for part in (venue.get("name"), venue.get("city")) if part)


def _organizer(event: Event) -> str:
    return f"by {escape(isolate(event['organization']['name']))}"


def _availability(event: Event) -> str:
    counts = event.get("availability") or {}
    if not counts.get("capacity"):
        return ""
    if not counts.get("available"):
        return "None free right now" if counts.get("held") else "Sold out"
    return f"{counts['available']:,} of {counts['capacity']:,} left"
