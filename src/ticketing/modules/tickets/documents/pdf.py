"""Tickets as PDF: one A5 page per ticket, which is also readable on a phone."""

import math
from collections import deque
from collections.abc import Sequence
from contextlib import closing

from babel.dates import format_date
from fontTools.ttLib.tables.O_S_2f_2 import intersectUnicodeRanges  # type: ignore[import-untyped]

from ticketing.infra.formats.currencies import format_money, to_decimal
from ticketing.infra.formats.local_time import clock, zone_label
from ticketing.modules.tickets.documents import qr
from ticketing.modules.tickets.documents.passes import Pass
from ticketing.modules.tickets.documents.text_layout import Canvas, Line, can_draw, fit, wrap

# Millimetres and points.
PAGE = (148.0, 210.0)
MARGIN = 16.0
ROOM = PAGE[0] - 2 * MARGIN
QR_SIZE = 60.0
TITLE_LINES_MAX = 3
FIELD_POINTS_MIN = 9.0
#: Pages that are drawn in one turn of a thread.
STEP_PAGES = 10

INK, MUTED, LINE, ACCENT = (23, 27, 33), (104, 112, 123), (219, 223, 228), (28, 86, 124)

LOCALE = "en_GB"

# fontTools lists the ranges at the first call, and a second call at the same moment finds the list half filled.
intersectUnicodeRanges(())


class Drawing:
    """A PDF with one page per ticket, drawn in steps.

    The fonts take about 50 ms of CPU time, and each page 10 to 50 ms. Half of that is the choice of the QR code's mask,
    the eight candidates of which ISO/IEC 18004 §7.8 has compared. Call all of it in a thread.
    """

    def __init__(self, passes: Sequence[Pass]) -> None:
        self._left = deque(passes)
        self._pdf = pdf = Canvas(unit="mm", format=PAGE)
        pdf.set_auto_page_break(False)
        pdf.set_title(passes[0].title)
        pdf.set_lang("en")

    def step(self) -> bool:
        """Draw up to STEP_PAGES. Returns whether pages are left."""
        for _ in range(min(STEP_PAGES, len(self._left))):
            self._pdf.add_page()
            _draw_page(self._pdf, self._left.popleft())
        return bool(self._left)

    def finish(self) -> bytes:
        return bytes(self._pdf.output())

    def close(self) -> None:
        """Close the font files, which a document that is not finished leaves open."""
        self._pdf.close_fonts()


def draw(passes: Sequence[Pass]) -> bytes:
    """Draw a whole document."""
    with closing(Drawing(passes)) as drawing:
        while drawing.step():
            continue
        return drawing.finish()


def _draw_page(pdf: Canvas, p: Pass) -> None:
    pdf.set_fill_color(*ACCENT)
    pdf.rect(0, 0, PAGE[0], 3, style="F")
    y = _draw_event(pdf, p, 15)
    y = _rule(pdf, y + 5)
    y = _draw_place(pdf, p, y + 7)
    y = _draw_details(pdf, p, y + 5)
    _rule(pdf, y + 4)
    _draw_code(pdf, p, 120)


def _draw_event(pdf: Canvas, p: Pass, y: float) -> float:
    _text(pdf, MARGIN, y, p.organization, 9, MUTED)
    y += 11
    for line in wrap(p.title, ROOM / em(22), TITLE_LINES_MAX, is_bold=True):
        _line(pdf, PAGE[0] - MARGIN - line.width * em(22) if line.is_rtl else MARGIN, y, line, 22, INK)
        y += 9.5
    y -= 1
    for text in (day(p), hours(p), p.where):
        if text:
            _text(pdf, MARGIN, y, text, 11.5, INK)
            y += 6
    return y - 6


def _draw_place(pdf: Canvas, p: Pass, y: float) -> float:
    if p.place is None:
        _field(pdf, MARGIN, y, ROOM, "General admission", p.kind, 20)
    else:
        half, quarter = ROOM / 2, ROOM / 4
        _field(pdf, MARGIN, y, half, "Section", p.place.section, 20)
        _field(pdf, MARGIN + half, y, quarter, "Row", p.place.row_text, 20)
        _field(pdf, MARGIN + half + quarter, y, quarter, "Seat", p.place.seat_text, 20)
    return y + 13


def _draw_details(pdf: Canvas, p: Pass, y: float) -> float:
    half, quarter = ROOM / 2, ROOM / 4
    _field(pdf, MARGIN, y, half, "Holder", p.holder, 11)
    _field(pdf, MARGIN + half, y, quarter, "Order", p.reference, 11)
    _field(pdf, MARGIN + half + quarter, y, quarter, "Price", price(p), 11)
    return y + 9


def _draw_code(pdf: Canvas, p: Pass, y: float) -> None:
    size, runs = qr.dark_runs(p.code)
    module, left = QR_SIZE / size, (PAGE[0] - QR_SIZE) / 2
    pdf.set_fill_color(0, 0, 0)
    for x, row, length in runs:
        # 3 % taller than the row: otherwise viewers with anti-aliasing show white lines between rows.
        pdf.rect(left + x * module, y + row * module, length * module, module * 1.03, style="F")
    third = -(-len(p.code) // 3)
    for n in range(3):
        line = p.code[n * third : (n + 1) * third]
        _text(pdf, PAGE[0] / 2, y + QR_SIZE + 7 + n * 2.8, line, 5.5, MUTED, is_centered=True)
    note = "Admits one, once. Whoever shows this code first gets in: please do not share a picture of it."
    _text(pdf, PAGE[0] / 2, PAGE[1] - 8, note, 7, MUTED, is_centered=True)


def _field(pdf: Canvas, x: float, y: float, room: float, label: str, value: str, size: float) -> None:
    _text(pdf, x, y, label, 7.5, MUTED)
    # A long section name is shrunk before it is truncated, because visitors need it to find their seat.
    room -= 2.9
    natural = fit(value, math.inf, is_bold=True).width * em(size)
    size_fitting = max(size * min(1, room / natural), FIELD_POINTS_MIN)
    line = fit(value, room / em(size_fitting), is_bold=True)
    _line(pdf, x, y + size * 0.28 + 2.2, line, size_fitting, INK)


def _text(
    pdf: Canvas, x: float, y: float, text: str, size: float, color: tuple[int, int, int], *, is_centered: bool = False
) -> None:
    """Draw one line of text with its baseline at y, from x or centred on x."""
    line = fit(text, ROOM / em(size))
    _line(pdf, x - line.width * em(size) / 2 if is_centered else x, y, line, size, color)


def _line(pdf: Canvas, x: float, y: float, line: Line, size: float, color: tuple[int, int, int]) -> None:
    pdf.set_fill_color(*color)
    pdf.set_draw_color(*color)
    pdf.write_line(line, x, y, size)


def em(size: float) -> float:
    """Return a font's size in mm."""
    return size * 25.4 / 72


def _rule(pdf: Canvas, y: float) -> float:
    pdf.set_draw_color(*LINE)
    pdf.set_line_width(0.25)
    pdf.line(MARGIN, y, PAGE[0] - MARGIN, y)
    return y


def day(p: Pass) -> str:
    """Format the local date: `Saturday, 1 June 2030`."""
    return str(format_date(p.starts_here, "EEEE, d MMMM y", locale=LOCALE))


def hours(p: Pass) -> str:
    """Format the local time of the start, and of the end if it is known: `21:00, Amsterdam time`."""
    until = f" \N{EN DASH} {clock(p.ends_here)}" if p.ends_here else ""
    return f"{clock(p.starts_here)}{until}, {zone_label(p.timezone)}"


def price(p: Pass) -> str:
    """Format the price: `€45.00`. A currency symbol that no font contains is replaced by the currency code."""
    if p.price_minor == 0:
        return "Free"
    text = format_money(p.price_minor, p.currency, LOCALE)
    return text if can_draw(text) else f"{p.currency} {to_decimal(p.price_minor, p.currency)}"
