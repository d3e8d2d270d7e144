"""Local times around every change of the clock."""

from datetime import UTC, datetime, timedelta

import pytest

from ticketing.infra.formats.local_time import clock, is_repeated, to_zone, zone_label


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "timezone", "text"),
    [
        ("2030-06-01T17:30", "Europe/Vienna", "19:30"),
        ("2030-10-26T23:59", "Europe/Vienna", "01:59"),
        ("2030-10-27T00:00", "Europe/Vienna", "02:00 CEST"),
        ("2030-10-27T00:30", "Europe/Vienna", "02:30 CEST"),
        ("2030-10-27T01:30", "Europe/Vienna", "02:30 CET"),
        ("2030-10-27T02:00", "Europe/Vienna", "03:00"),
        ("2030-03-31T00:59", "Europe/Vienna", "01:59"),
        ("2030-03-31T01:00", "Europe/Vienna", "03:00"),
        ("2030-11-03T05:30", "America/New_York", "01:30 EDT"),
        ("2030-11-03T06:30", "America/New_York", "01:30 EST"),
        ("2031-04-05T14:45", "Australia/Lord_Howe", "01:45 UTC+11:00"),
        ("2031-04-05T15:15", "Australia/Lord_Howe", "01:45 UTC+10:30"),
        ("2030-10-27T00:30", "UTC", "00:30"),
    ],
)
def test_a_time_that_the_clock_shows_twice_names_its_half(moment: str, timezone: str, text: str) -> None:
    assert clock(to_zone(_moment(moment), timezone)) == text


@pytest.mark.parametrize(("timezone", "hours"), [("Europe/Vienna", 2), ("America/New_York", 2), ("Asia/Kolkata", 0)])
def test_two_hours_of_a_year_are_repeated_where_clocks_change(timezone: str, hours: int) -> None:
    start = _moment("2030-01-01T00:30")
    moments = (start + timedelta(hours=n) for n in range(365 * 24))
    assert sum(is_repeated(to_zone(moment, timezone)) for moment in moments) == hours


def test_zones_are_named_by_their_place() -> None:
    assert [zone_label(name) for name in ("America/New_York", "UTC")] == ["New York time", "UTC"]
