"""Tickets as PDF: one A5 page per ticket, which is also readable on a phone."""

from collections import deque
from collections.abc import Sequence
from contextlib import closing

from babel.dates import format_date
from fontTools.ttLib.tables.O_S_2f_2 import intersectUnicodeRanges  # type: ignore[import-untyped]
from fpdf import FPDF
from fpdf.fonts import TTFFont

from ticketing.infra.formats.currencies import format_money, to_decimal
from ticketing.infra.formats.local_time import clock, zone_label
from ticketing.modules.tickets.documents import qr
from ticketing.modules.tickets.documents.passes import Pass
from ticketing.modules.tickets.documents.text_layout import FAMILY, can_draw, fit, load_fonts, visual_order, width, wrap

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
        self._pdf = pdf = FPDF(unit="mm", format=PAGE)
        pdf.set_auto_page_break(False)
        pdf.set_margin(MARGIN)
        pdf.c_margin = 0
        pdf.set_title(passes[0].title)
        pdf.set_lang("en")
        load_fonts(pdf, " ".join({text for p in passes for text in _texts(p)}))

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
        for font in self._pdf.fonts.values():
            if isinstance(font, TTFFont):
                font.ttfont.close()


def draw(passes: Sequence[Pass]) -> bytes:
    """Draw a whole document."""
    with closing(Drawing(passes)) as drawing:
        while drawing.step():
            continue
        return drawing.finish()


def _texts(p: Pass) -> list[str]:
    place = [p.place.section, p.place.row, p.place.seat] if p.place else []
    return [p.organization, p.title, p.where, p.kind, p.holder, price(p), *place]


def _draw_page(pdf: FPDF, p: Pass) -> None:
    pdf.set_fill_color(*ACCENT)
    pdf.rect(0, 0, PAGE[0], 3, style="F")
    y = _draw_event(pdf, p, 15)
    y = _rule(pdf, y + 5)
    y = _draw_place(pdf, p, y + 7)
    y = _draw_details(pdf, p, y + 5)
    _rule(pdf, y + 4)
    _draw_code(pdf, p, 120)


def _draw_event(pdf: FPDF, p: Pass, y: float) -> float:
    _text(pdf, MARGIN, y, p.organization, 9, MUTED)
    y += 11
    pdf.set_font(FAMILY, "B", 22)
    for line in wrap(pdf, p.title, ROOM, TITLE_LINES_MAX):
        _text(pdf, MARGIN, y, line, 22, INK, bold=True)
        y += 9.5
    y -= 1
    for line in (day(p), hours(p), p.where):
        if line:
            _text(pdf, MARGIN, y, line, 11.5, INK)
            y += 6
    return y - 6


def _draw_place(pdf: FPDF, p: Pass, y: float) -> float:
    if p.place is None:
        _field(pdf, MARGIN, y, ROOM, "General admission", p.kind, 20)
    else:
        half, quarter = ROOM / 2, ROOM / 4
        _field(pdf, MARGIN, y, half, "Section", p.place.section, 20)
        _field(pdf, MARGIN + half, y, quarter, "Row", p.place.row, 20)
        _field(pdf, MARGIN + half + quarter, y, quarter, "Seat", p.place.seat, 20)
    return y + 13


def _draw_details(pdf: FPDF, p: Pass, y: float) -> float:
    half, quarter = ROOM / 2, ROOM / 4
    _field(pdf, MARGIN, y, half, "Holder", p.holder, 11)
    _field(pdf, MARGIN + half, y, quarter, "Order", p.reference, 11)
    _field(pdf, MARGIN + half + quarter, y, quarter, "Price", price(p), 11)
    return y + 9


def _draw_code(pdf: FPDF, p: Pass, y: float) -> None:
    size, runs = qr.dark_runs(p.code)
    module, left = QR_SIZE / size, (PAGE[0] - QR_SIZE) / 2
    pdf.set_fill_color(0, 0, 0)
    for x, row, length in runs:
        # 3 % taller than the row: otherwise viewers with anti-aliasing show white lines between rows.
        pdf.rect(left + x * module, y + row * module, length * module, module * 1.03, style="F")
    third = -(-len(p.code) // 3)
    for n in range(3):
        line = p.code[n * third : (n + 1) * third]
        _text(pdf, PAGE[0] / 2, y + QR_SIZE + 7 + n * 2.8, line, 5.5, MUTED, align="center")
    note = "Admits one, once. Whoever shows this code first gets in: please do not share a picture of it."
    _text(pdf, PAGE[0] / 2, PAGE[1] - 8, note, 7, MUTED, align="center")


def _field(pdf: FPDF, x: float, y: float, room: float, label: str, value: str, size: float) -> None:
    _text(pdf, x, y, label, 7.5, MUTED)
    pdf.set_font(FAMILY, "B", size)
    # A long section name is shrunk before it is truncated, because visitors need it to find their seat.
    fitting = size * (room - 3) / max(width(pdf, value), room - 3)
    _text(pdf, x, y + size * 0.28 + 2.2, value, max(fitting, FIELD_POINTS_MIN), INK, bold=True, room=room - 2.9)


def _text(
    pdf: FPDF,
    x: float,
    y: float,
    text: str,
    size: float,
    color: tuple[int, int, int],
    *,
    bold: bool = False,
    room: float = ROOM,
    align: str = "left",
) -> None:
    """Draw one line of text with its baseline at y."""
    pdf.set_font(FAMILY, "B" if bold else "", size)
    pdf.set_text_color(*color)
    line = visual_order(fit(pdf, text, room))
    if align == "center":
        x -= pdf.get_string_width(line) / 2
    # pdf.text ignores fallback fonts. A cell of height 0 puts the baseline 0.3 font sizes below its y.
    pdf.set_xy(x, y - 0.3 * pdf.font_size)
    pdf.cell(w=0, h=0, text=line)


def _rule(pdf: FPDF, y: float) -> float:
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
