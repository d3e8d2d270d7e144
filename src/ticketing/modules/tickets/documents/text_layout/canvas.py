"""A PDF document on which lines of glyphs are drawn."""

from collections.abc import Iterable

from fpdf import FPDF
from fpdf.fonts import TTFFont

from ticketing.modules.tickets.documents.text_layout.fonts import Font
from ticketing.modules.tickets.documents.text_layout.lines import BOX_WIDTH, Glyph, Line, Segment
from ticketing.modules.tickets.documents.text_layout.paragraphs import fit

#: Glyphs are placed anew where the widths in the file, which are whole thousandths of an em, put them farther off.
_TOLERANCE = 0.002
#: Box for a character without a glyph, in em: its foot, its height, the space between boxes, the digits' size.
_BOX_FOOT, _BOX_HEIGHT, _BOX_GAP, _DIGIT_SIZE = -0.12, 0.92, 0.06, 0.36


class Canvas(FPDF):
    """fpdf2 with text that this package has laid out. A font is added when its first glyph is drawn."""

    def write_line(self, line: Line, x: float, y: float, points: float) -> None:
        """Draw a line from left to right, with its baseline at y. The colour is the fill colour."""
        em = points / self.k
        for segment in line.segments:
            if segment.font is None:
                self._write_boxes(segment.text, x, y, points)
            else:
                self._write_segment(segment, segment.font, x, y, points)
            x += segment.width * em

    def close_fonts(self) -> None:
        """Close the font files, which a document that is not finished leaves open."""
        for font in self.fonts.values():
            if isinstance(font, TTFFont):
                font.close()

    def _write_segment(self, segment: Segment, font: Font, x: float, y: float, points: float) -> None:
        chosen = self._embedded(font)
        em = points / self.k
        operators = [self._set_font_for_page(chosen, points, wrap_in_text_object=False)]
        for group_x, group_y, codes in _groups(segment.glyphs, chosen):
            left, bottom = (x + group_x * em) * self.k, (self.h - y + group_y * em) * self.k
            operators.append(f"1 0 0 1 {left:.2f} {bottom:.2f} Tm <{codes}> Tj")
        self._out(f"BT {' '.join(operators)} ET")

    def _embedded(self, font: Font) -> TTFFont:
        if font.name not in self.fonts:
            # The glyphs are chosen by HarfBuzz. Reading the font's whole table of characters would take most of the
            # time of a ticket; fpdf2 itself needs the blank.
            self.add_font(font.name, "", font.path, unicode_range=[0x20])
        embedded = self.fonts[font.name]
        if not isinstance(embedded, TTFFont):
            raise TypeError(f"{font.name} is not a TrueType font")
        return embedded

    def _write_boxes(self, characters: str, x: float, y: float, points: float) -> None:
        """Draw a box per character, with the hexadecimal digits of its code point in two rows."""
        em = points / self.k
        self.set_line_width(em * 0.04)
        # For readers that search and copy.
        self._out(f"/Span <</ActualText <FEFF{characters.encode('utf-16-be', 'replace').hex()}>>> BDC")
        for number, character in enumerate(characters):
            left = x + (number * BOX_WIDTH + _BOX_GAP / 2) * em
            width, top = (BOX_WIDTH - _BOX_GAP) * em, y - (_BOX_FOOT + _BOX_HEIGHT) * em
            self.rect(left, top, width, _BOX_HEIGHT * em)
            digits = f"{ord(character):04X}"
            half = -(-len(digits) // 2)
            for row, part in enumerate((digits[:half], digits[half:])):
                line = fit(part, 10)
                start = left + (width - line.width * _DIGIT_SIZE * em) / 2
                self.write_line(line, start, top + (0.4 + row * 0.42) * em, points * _DIGIT_SIZE)
        self._out("EMC")


def _groups(glyphs: Iterable[Glyph], font: TTFFont) -> Iterable[tuple[float, float, str]]:
    """Yield (x, y, codes) of glyphs that follow each other at the widths in the file."""
    start = (0.0, 0.0)
    codes, pen, reached = "", 0.0, 0.0
    for glyph in glyphs:
        place = (pen + glyph.x, glyph.y)
        if codes and (place[1] != start[1] or abs(place[0] - reached) > _TOLERANCE):
            yield *start, codes
            codes = ""
        if not codes:
            start, reached = place, place[0]
        code, width = _code(glyph, font)
        codes += f"{code:04X}"
        reached += width
        pen += glyph.advance
    if codes:
        yield *start, codes


def _code(glyph: Glyph, font: TTFFont) -> tuple[int, float]:
    """Return the glyph's code in the document, and its width in the file in em."""
    name = font.ttfont.getGlyphName(glyph.id)
    width = round(font.scale * font.ttfont["hmtx"].metrics[name][0])
    entry = font.subset.get_glyph(
        glyph=glyph.id, unicode=tuple(map(ord, glyph.text)), glyph_name=name, glyph_width=width
    )
    code = font.subset.pick_glyph(entry)
    if code is None:
        raise ValueError(f"{name} is not a glyph of {font.name}")
    return code, width / 1000
