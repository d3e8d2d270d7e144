"""Text of many scripts on a PDF page: fallback fonts, widths, line breaks and writing direction.

Without a shaping engine, fpdf2 draws characters from left to right in the order of the string, which is correct for
most scripts. Arabic and Hebrew are brought into visual order first, and Arabic characters are replaced by their
contextual presentation forms in Unicode.
"""

import unicodedata
from functools import lru_cache
from pathlib import Path

from fontTools.ttLib import TTFont  # type: ignore[import-untyped]
from fpdf import FPDF
from fpdf.bidi import BidiParagraph

FONTS = Path(__file__).parent / "fonts"
FAMILY = "sans"
_FALLBACKS = {"thai": "NotoSansThai-Regular.ttf", "many": "DejaVuSans.ttf", "cjk": "DroidSansFallback.ttf"}
_ELLIPSIS = "…"


def load_fonts(pdf: FPDF, text: str) -> None:
    """Add the fonts that this text needs. Large fallback fonts are added only when no smaller font has a character."""
    pdf.add_font(FAMILY, "", FONTS / "NotoSans-Regular.ttf")
    pdf.add_font(FAMILY, "B", FONTS / "NotoSans-Bold.ttf")
    missing = {ord(c) for c in visual_order(text)} - code_points_of("NotoSans-Regular.ttf")
    for name, file in _FALLBACKS.items():
        if missing & code_points_of(file):
            pdf.add_font(name, "", FONTS / file)
            missing -= code_points_of(file)
    # Not exact_match: the fallback fonts have no bold style, and regular glyphs are better than empty boxes.
    pdf.set_fallback_fonts([name for name in _FALLBACKS if name in pdf.fonts], exact_match=False)


@lru_cache(maxsize=len(_FALLBACKS) + 1)
def code_points_of(file: str) -> frozenset[int]:
    """Return the code points for which a font has glyphs."""
    with TTFont(FONTS / file, lazy=True) as font:
        return frozenset(font.getBestCmap() or ())


def can_draw(text: str) -> bool:
    """Return whether one of the fonts has a glyph for each character of this text."""
    files = ("NotoSans-Regular.ttf", *_FALLBACKS.values())
    return all(any(ord(character) in code_points_of(file) for file in files) for character in text)


def width(pdf: FPDF, text: str) -> float:
    """Return the width of a line in the document's unit and present font."""
    return pdf.get_string_width(visual_order(text))


def fit(pdf: FPDF, text: str, room: float) -> str:
    """Truncate the text with an ellipsis when it is wider than `room`."""
    if width(pdf, text) <= room:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if width(pdf, text[:middle].rstrip() + _ELLIPSIS) <= room:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + _ELLIPSIS


def wrap(pdf: FPDF, text: str, room: float, lines_max: int) -> list[str]:
    """Break the text into lines of width `room`. The last of `lines_max` lines is truncated if necessary."""
    lines: list[str] = []
    words = text.split()
    while words and len(lines) < lines_max - 1:
        count = next((n for n in range(len(words), 1, -1) if width(pdf, " ".join(words[:n])) <= room), 1)
        line, words = " ".join(words[:count]), words[count:]
        head = _head(pdf, line, room)
        if rest := line[len(head) :]:  # a word wider than the line, or a script without blanks
            words.insert(0, rest)
        lines.append(head)
    return [*lines, fit(pdf, " ".join(words), room)] if words else lines


def _head(pdf: FPDF, line: str, room: float) -> str:
    while len(line) > 1 and width(pdf, line) > room:
        line = line[:-1]
    return line


def visual_order(text: str) -> str:
    """Reorder right-to-left text into visual order, from left to right."""
    text = unicodedata.normalize("NFC", text)
    if not any(unicodedata.bidirectional(character) in {"R", "AL"} for character in text):
        return text
    return BidiParagraph(_join_arabic(text)).get_reordered_string()


#: The contextual form of a character that joins the one before it, and the one after it.
_FORMS = {(True, True): "medial", (True, False): "final", (False, True): "initial", (False, False): "isolated"}


def _join_arabic(text: str) -> str:
    forms = _arabic_forms()
    joined: list[str] = []
    for at, character in enumerate(text):
        own = forms.get(character, {})
        joins_before = at > 0 and "initial" in forms.get(text[at - 1], {}) and "final" in own
        joins_after = "initial" in own and at + 1 < len(text) and "final" in forms.get(text[at + 1], {})
        form = _FORMS[joins_before, joins_after]
        joined.append(own.get(form, character))
    return "".join(joined)


@lru_cache(maxsize=1)
def _arabic_forms() -> dict[str, dict[str, str]]:
    """Map each Arabic character to its forms by position, from the decompositions in Unicode's presentation blocks."""
    forms: dict[str, dict[str, str]] = {}
    for point in (*range(0xFB50, 0xFC00), *range(0xFE80, 0xFEFD)):
        position, *characters = unicodedata.decomposition(chr(point)).split() or [""]
        if len(characters) == 1:
            forms.setdefault(chr(int(characters[0], 16)), {})[position.strip("<>")] = chr(point)
    return forms
