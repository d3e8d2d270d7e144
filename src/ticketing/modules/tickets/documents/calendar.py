"""A ticket's event as a calendar entry, in the venue's time zone."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

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
    event.add("dtstart", _at_venue(p, p.starts_at))
    if p.ends_at:
        event.add("dtend", _at_venue(p, p.ends_at))
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


def _at_venue(p: Pass, moment: datetime) -> datetime:
    return moment.astimezone(UTC if p.timezone == "UTC" else ZoneInfo(p.timezone))


def _describe(p: Pass) -> str:
    place = f"{p.place.section}, row {p.place.row}, seat {p.place.seat}" if p.place else p.kind
    return f"{place}\nOrder {p.reference}\n{p.organization}"
