"""Letters of many scripts on a PDF page: which font has them, how wide they are, and which way they run.

fpdf2 without a shaping engine puts characters side by side as they come. That is right for most scripts; for Arabic and
Hebrew the text is brought into visual order first, with the contextual forms of Arabic letters that Unicode has kept.
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
    """Give the document the fonts that this text needs; the large ones only when a letter is nowhere else."""
    pdf.add_font(FAMILY, "", FONTS / "NotoSans-Regular.ttf")
    pdf.add_font(FAMILY, "B", FONTS / "NotoSans-Bold.ttf")
    missing = {ord(c) for c in visual_order(text)} - letters_of("NotoSans-Regular.ttf")
    for name, file in _FALLBACKS.items():
        if missing & letters_of(file):
            pdf.add_font(name, "", FONTS / file)
            missing -= letters_of(file)
    # Not exact: these have no bold of their own, and a name in regular letters beats one of empty boxes.
    pdf.set_fallback_fonts([name for name in _FALLBACKS if name in pdf.fonts], exact_match=False)


@lru_cache(maxsize=len(_FALLBACKS) + 1)
def letters_of(file: str) -> frozenset[int]:
    """The code points that a font can draw."""
    with TTFont(FONTS / file, lazy=True) as font:
        return frozenset(font.getBestCmap() or ())


def can_draw(text: str) -> bool:
    """Whether every letter of this text is in one of our fonts."""
    files = ("NotoSans-Regular.ttf", *_FALLBACKS.values())
    return all(any(ord(letter) in letters_of(file) for file in files) for letter in text)


def width(pdf: FPDF, text: str) -> float:
    """In the document's unit, in its present font."""
    return pdf.get_string_width(visual_order(text))


def fit(pdf: FPDF, text: str, room: float) -> str:
    """The text, cut with an ellipsis where it is wider than the room."""
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
    """The text in lines that fit; what does not fit into the last one is cut."""
    lines: list[str] = []
    words = text.split()
    while words and len(lines) < lines_max - 1:
        count = next((n for n in range(len(words), 1, -1) if width(pdf, " ".join(words[:n])) <= room), 1)
        line, words = " ".join(words[:count]), words[count:]
        head = _head(pdf, line, room)
        if rest := line[len(head) :]:  # a single word wider than the page, or a script without blanks
            words.insert(0, rest)
        lines.append(head)
    return [*lines, fit(pdf, " ".join(words), room)] if words else lines


def _head(pdf: FPDF, line: str, room: float) -> str:
    while len(line) > 1 and width(pdf, line) > room:
        line = line[:-1]
    return line


def visual_order(text: str) -> str:
    """The text as its letters follow one another on paper, from left to right."""
    text = unicodedata.normalize("NFC", text)
    if not any(unicodedata.bidirectional(letter) in {"R", "AL"} for letter in text):
        return text
    return BidiParagraph(_join_arabic(text)).get_reordered_string()


def _join_arabic(text: str) -> str:
    forms = _arabic_forms()
    joined: list[str] = []
    for at, letter in enumerate(text):
        own = forms.get(letter, {})
        before = at > 0 and "initial" in forms.get(text[at - 1], {}) and "final" in own
        after = "initial" in own and at + 1 < len(text) and "final" in forms.get(text[at + 1], {})
        wanted = "medial" if before and after else "final" if before else "initial" if after else "isolated"
        joined.append(own.get(wanted, letter))
    return "".join(joined)


@lru_cache(maxsize=1)
def _arabic_forms() -> dict[str, dict[str, str]]:
    """Each letter's forms by position: what Unicode's presentation blocks say that they stand for."""
    forms: dict[str, dict[str, str]] = {}
    for point in (*range(0xFB50, 0xFC00), *range(0xFE80, 0xFEFD)):
        position, *letters = unicodedata.decomposition(chr(point)).split() or [""]
        if len(letters) == 1:
            forms.setdefault(chr(int(letters[0], 16)), {})[position.strip("<>")] = chr(point)
    return forms
