"""A ticket's event as a calendar entry, in the event's time zone."""

from datetime import UTC, date, datetime

from ticketing.infra.formats.directions import isolate
from ticketing.infra.formats.local_time import is_repeated
from ticketing.modules.tickets.documents.passes import Pass


def as_calendar(p: Pass, url: str) -> bytes:
    """Build an iCalendar file (RFC 5545) with one event. `url` is the page of the order.

    The UID is derived from the ticket's id, so that importing the file twice updates one entry.
    """
    # Imported on first use: the import would take a tenth of a process's start-up time.
    from icalendar import Calendar, Event

    event = Event()
    event.add("uid", f"{p.ticket_id}@ticketing")
    event.add("dtstamp", datetime.now(UTC))
    event.add("summary", p.title)
    for name, moment in _times(p).items():
        event.add(name, moment)
    if p.where:
        event.add("location", p.where)
    event.add("description", _describe(p))
    event.add("url", url)
    event.add("status", "CANCELLED" if p.is_event_cancelled else "CONFIRMED")
    calendar = Calendar()
    calendar.add("prodid", "-//ticketing//tickets//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add_component(event)
    # Only the time zone rules of the years around the event: the default covers 1970 to 2037.
    calendar.add_missing_timezones(date(p.starts_at.year - 1, 1, 1), date(p.starts_at.year + 2, 1, 1))
    return bytes(calendar.to_ical())


def _times(p: Pass) -> dict[str, datetime]:
    """Start and end in the event's time zone.

    In UTC if the clock there shows one of the two times twice: RFC 5545 (3.3.5) reads such a time as the first one.
    """
    local = {"dtstart": p.starts_here} | ({"dtend": p.ends_here} if p.ends_here else {})
    if p.timezone != "UTC" and not any(is_repeated(each) for each in local.values()):
        return local
    return {name: each.astimezone(UTC) for name, each in local.items()}


def _describe(p: Pass) -> str:
    if p.place is None:
        place = p.kind
    else:
        row = isolate(p.place.row_label) if p.place.row_label else f"row {isolate(p.place.row)}"
        seat = isolate(p.place.seat_label) if p.place.seat_label else f"seat {isolate(p.place.seat)}"
        place = f"{isolate(p.place.section)}, {row}, {seat}"
    return f"{place}\nOrder {p.reference}\n{p.organization}"
