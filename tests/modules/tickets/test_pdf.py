"""Tickets as PDF."""

import importlib
import io
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from fontTools.ttLib.tables import O_S_2f_2
from pypdf import PdfReader

from ticketing.infra.formats.calendar_file import Revision
from ticketing.modules.tickets.codes import CodeClaims, Keyring
from ticketing.modules.tickets.documents import pdf
from ticketing.modules.tickets.documents.passes import Pass, Place
from ticketing.modules.tickets.documents.text_layout import can_draw

SEAT = Pass(
    ticket_id=UUID(int=7),
    organization="Stadsschouwburg",
    title="The Long Night",
    starts_at=datetime(2030, 6, 1, 19, tzinfo=UTC),
    ends_at=datetime(2030, 6, 1, 21, 30, tzinfo=UTC),
    timezone="Europe/Amsterdam",
    venue="Hall",
    city="Utrecht",
    place=Place("Stalls", "A", "12"),
    kind="Seat",
    holder="Ada Byron",
    price_minor=4500,
    currency="EUR",
    reference="7F3K-9QXM",
    code=Keyring([b"k" * 32]).sign(CodeClaims(UUID(int=7), UUID(int=9), 1)),
    revision=Revision(0, datetime(2030, 1, 1, tzinfo=UTC)),
)


def pages(document: bytes) -> list[str]:
    return [page.extract_text() for page in PdfReader(io.BytesIO(document)).pages]


def test_a_ticket_shows_event_time_venue_seat_holder_and_price() -> None:
    (text,) = pages(pdf.draw([SEAT]))
    wanted = ("Stadsschouwburg", "The Long Night", "Saturday, 1 June 2030", "Amsterdam time", "Hall, Utrecht")
    wanted += ("Stalls", "A", "12", "Ada Byron", "7F3K-9QXM", "€45.00")
    for word in wanted:
        assert word in text
    # In the venue's time zone: 21:00 in Amsterdam is 19:00 UTC.
    assert "21:00" in text
    assert "23:30" in text


def test_the_code_is_printed_as_text() -> None:
    (text,) = pages(pdf.draw([SEAT]))
    assert SEAT.code in "".join(text.split())


def test_each_ticket_is_one_page() -> None:
    tickets = [replace(SEAT, holder=f"Guest {n}") for n in range(3)]
    texts = pages(pdf.draw(tickets))
    assert ["Guest 0" in texts[0], "Guest 1" in texts[1], "Guest 2" in texts[2]] == [True] * 3


def test_general_admission_and_free_tickets_are_labelled() -> None:
    (text,) = pages(pdf.draw([replace(SEAT, place=None, kind="Standing", price_minor=0, venue=None, city=None)]))
    assert "General admission" in text
    assert "Standing" in text
    assert "Free" in text


@pytest.mark.parametrize(
    "name", ["Łukasz Żółć", "Δημήτρης", "Дмитрий", "Đặng Thị Ngọc", "山田太郎", "김철수", "გიორგი", "Արամ", "สมชาย"]
)
def test_names_in_many_scripts_are_printed(name: str) -> None:
    (text,) = pages(pdf.draw([replace(SEAT, holder=name)]))
    assert can_draw(name)
    assert unicodedata.normalize("NFC", name) in unicodedata.normalize("NFC", text)


def test_long_texts_and_missing_glyphs_still_make_one_page() -> None:
    endless = replace(
        SEAT, title="W" * 200, venue="x " * 100, holder="𓀀" * 200, place=Place("S" * 200, "R" * 50, "9" * 50)
    )
    assert len(pages(pdf.draw([endless]))) == 1


@pytest.mark.parametrize(
    ("minor", "currency", "price"), [(4500, "EUR", "€45.00"), (12_000, "JPY", "JP¥12,000"), (1234, "KWD", "KWD 1.234")]
)
def test_prices_have_as_many_digits_as_their_currency(minor: int, currency: str, price: str) -> None:
    text = pdf.price(replace(SEAT, price_minor=minor, currency=currency))
    assert text.replace("\N{NO-BREAK SPACE}", " ") == price


def test_hours_name_their_half_where_clocks_go_back() -> None:
    start, end = datetime(2030, 10, 27, 0, 30, tzinfo=UTC), datetime(2030, 10, 27, 1, 30, tzinfo=UTC)
    night = replace(SEAT, starts_at=start, ends_at=end, timezone="Europe/Vienna")
    assert pdf.hours(night) == "02:30 CEST \N{EN DASH} 02:30 CET, Vienna time"


def test_the_ranges_that_fonttools_lists_on_first_use_are_listed_at_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two documents at once in a new process can find the list half filled, which is an IndexError."""
    monkeypatch.setattr(O_S_2f_2, "_unicodeStarts", [])
    monkeypatch.setattr(O_S_2f_2, "_unicodeValues", [None])
    importlib.reload(pdf)
    assert len(O_S_2f_2._unicodeStarts) == len(O_S_2f_2._unicodeValues) - 1 > 100
