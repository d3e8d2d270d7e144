from dataclasses import replace
from datetime import datetime
from xml.etree import ElementTree

import segno
from icalendar import Calendar

from tests.modules.tickets.test_pdf import SEAT
from ticketing.modules.tickets.documents import calendar as ics
from ticketing.modules.tickets.documents import qr


def test_the_calendar_has_the_event_in_the_time_of_its_venue() -> None:
    calendar = Calendar.from_ical(ics.as_calendar(SEAT, "https://tickets.example/o/7F3K-9QXM"))
    (event,) = calendar.walk("VEVENT")
    assert event["DTSTART"].params["TZID"] == "Europe/Amsterdam"
    assert event.decoded("DTSTART").replace(tzinfo=None) == datetime(2030, 6, 1, 21)
    assert event.decoded("DTSTART") == SEAT.starts_at
    assert str(event["LOCATION"]) == "Hall, Utrecht"
    assert "Stalls, row A, seat 12" in str(event["DESCRIPTION"])
    assert len(calendar.walk("VTIMEZONE")) == 1


def test_the_same_ticket_is_the_same_appointment_however_often_it_is_imported() -> None:
    uids = {Calendar.from_ical(ics.as_calendar(SEAT, "")).walk("VEVENT")[0]["UID"] for _ in range(2)}
    assert len(uids) == 1


def test_a_cancelled_event_is_cancelled_in_the_calendar_too() -> None:
    cancelled = replace(SEAT, is_event_cancelled=True, ends_at=None, venue=None, city=None, timezone="UTC")
    (event,) = Calendar.from_ical(ics.as_calendar(cancelled, "")).walk("VEVENT")
    assert str(event["STATUS"]) == "CANCELLED"


def test_the_drawing_of_the_code_has_a_quiet_zone_and_scales() -> None:
    root = ElementTree.fromstring(qr.as_svg(SEAT.code))  # noqa: S314 (our own)
    assert root.get("viewBox") == "0 0 53 53"
    assert root.get("width") is None


def test_the_runs_on_paper_are_the_dark_modules_of_the_code() -> None:
    size, runs = qr.dark_runs(SEAT.code)
    dark = {(x + n, y) for x, y, length in runs for n in range(length)}
    matrix = segno.make_qr(SEAT.code, error="m", boost_error=False).matrix
    assert dark == {(x, y) for y, row in enumerate(matrix) for x, module in enumerate(row) if module}
    assert size == 45
