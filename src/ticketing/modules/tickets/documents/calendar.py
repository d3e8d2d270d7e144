"""The event of tickets as calendar entries, in the event's time zone."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ticketing.infra.formats.calendar_file import calendar_file
from ticketing.infra.formats.directions import isolate
from ticketing.infra.formats.local_time import is_repeated
from ticketing.modules.tickets.documents.passes import Pass

if TYPE_CHECKING:
    import icalendar


def as_calendar(passes: Sequence[Pass], site: str, sender: str) -> bytes:
    """Build an iCalendar file with an entry per ticket; all of them are for one event. `site` is the base URL of pages.

    The UID is derived from the ticket's id, so that each file of a ticket replaces its earlier ones.
    """
    first = passes[0]
    year = first.starts_at.year
    return calendar_file(
        [_entry(p, f"{site}/o/{p.reference}") for p in passes],
        first.revision,
        product="tickets",
        publisher=first.organization,
        sender=sender,
        years=(year - 1, year + 1),
    )


def _entry(p: Pass, url: str) -> "icalendar.Event":
    # Imported on first use: the import would take a tenth of a process's start-up time.
    from icalendar import Event

    event = Event()
    event.add("uid", f"{p.ticket_id}@ticketing")
    event.add("summary", p.title)
    for name, moment in _times(p).items():
        event.add(name, moment)
    if p.where:
        event.add("location", p.where)
    event.add("description", _describe(p))
    event.add("url", url)
    return event


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
