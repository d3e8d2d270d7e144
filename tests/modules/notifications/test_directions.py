"""Emails with right-to-left texts: each part keeps its direction, and the rest its order."""

from dataclasses import replace

from tests.modules.tickets.test_pdf import SEAT
from ticketing.modules.notifications import emails, texts
from ticketing.modules.notifications.layout import Page, as_html, as_text
from ticketing.modules.tickets.documents.passes import Place

PASS = replace(SEAT, title="ערב (2027)", venue="במת 7", city="Utrecht", place=Place("מרפת", "א", "12"))


def test_each_part_of_a_row_is_isolated() -> None:
    page = Page((), "Open", "https://tickets.example/o/1", emails.describe_passes([PASS]))
    for part in (as_text(page), as_html(page)):
        assert "\u2068ערב (2027)\u2069" in part
        assert "\u2068במת 7\u2069, Utrecht" in part
        assert "\u2068מרפת\u2069, row \u2068א\u2069, seat 12" in part


def test_the_cells_of_an_email_take_their_direction_from_their_text() -> None:
    html = as_html(Page((), "Open", "https://tickets.example/o/1", [("Event", texts.clean("ערב"))]))
    assert html.count("<td") == html.count('<td dir="auto"') == 1


def test_a_subject_keeps_its_order_around_a_right_to_left_title() -> None:
    subject = texts.TICKETS_SUBJECT.format(title=texts.quote(PASS.title), reference="7F3K-9QXM")
    assert subject == "Your tickets for “\u2068ערב (2027)\u2069” (7F3K-9QXM)"
