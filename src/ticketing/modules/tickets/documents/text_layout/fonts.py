"""The fonts, and which of them draws which characters.

A cluster is never split between fonts while one font has all of it, because a shaping engine sees one font at a time:
marks, joiners and conjuncts work only within it.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import uharfbuzz as hb

from ticketing.modules.tickets.documents.text_layout.clusters import clusters

FOLDER = Path(__file__).parents[1] / "fonts"

#: Control, surrogate and private use. A font may have glyphs for private use, but not the ones that the author meant.
_UNDRAWABLE = {"Cc", "Cs", "Co"}


@dataclass(frozen=True, slots=True)
class Font:
    """A font file. Reading glyphs and shaping do not change `shaper`, so that threads share it."""

    name: str
    path: Path
    shaper: hb.Font = field(repr=False, compare=False)

    def has(self, character: str) -> bool:
        return self.shaper.get_nominal_glyph(ord(character)) is not None


def _font(name: str) -> Font:
    path = FOLDER / f"{name}.ttf"
    return Font(name.lower(), path, hb.Font(hb.Face(hb.Blob.from_file_path(str(path)))))


#: Latin, Greek and Cyrillic.
REGULAR, BOLD = _font("NotoSans-Regular"), _font("NotoSans-Bold")
_SCRIPTS = (
    *("Arabic", "Hebrew", "Thaana", "Syriac", "NKo", "Adlam", "Armenian", "Georgian", "Ethiopic", "Tifinagh"),
    *("Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Oriya", "Tamil", "Telugu", "Kannada", "Malayalam", "Sinhala"),
    *("OlChiki", "MeeteiMayek", "Thai", "Lao", "Khmer", "Myanmar", "Javanese", "Cherokee", "CanadianAboriginal"),
)
#: For characters that `REGULAR` lacks, in this order. Emoji come before DejaVu, which has a few of them; Droid is for
#: Chinese, Japanese and Korean.
FALLBACKS = tuple(
    _font(name)
    for name in (
        *(f"NotoSans{script}-Regular" for script in _SCRIPTS),
        *("NotoSerifTibetan-Regular", "NotoEmoji-Regular", "DejaVuSans", "DroidSansFallback"),
    )
)
ALL = (REGULAR, BOLD, *FALLBACKS)


def can_draw(text: str) -> bool:
    """Return whether one of the fonts has a glyph for each character of this text."""
    return all(font is not None for font, _ in pieces(text, is_bold=False))


def pieces(text: str, *, is_bold: bool) -> Iterator[tuple[Font | None, str]]:
    """Split a text by font, in the order of the string. The font is None where no font has the characters."""
    font: Font | None = None
    run = ""
    for cluster in clusters(text):
        for chosen, part in _fonts_of(cluster, font, is_bold):
            if run and chosen is not font:
                yield font, run
                run = ""
            font = chosen
            run += part
    if run:
        yield font, run


@lru_cache(maxsize=8192)
def _fonts_of(cluster: str, current: Font | None, is_bold: bool) -> tuple[tuple[Font | None, str], ...]:
    """Return the fonts for one cluster: one, unless no font has both the letter and its marks."""
    # Of the fonts that have a character of a fallback font, the one already in use.
    order = (BOLD if is_bold else REGULAR, *([current] if current else []), *FALLBACKS)
    if any(unicodedata.category(character) in _UNDRAWABLE for character in cluster):
        return ((None, cluster),)
    needed = [character for character in cluster if not _is_ignorable(character)]
    for font in order:
        if all(map(font.has, needed)):
            return ((font, cluster),)
    if len(cluster) == 1:
        return ((None, cluster),)
    base, marks = cluster[0], cluster[1:]
    [first] = _fonts_of(base, current, is_bold)
    return (first, *(each for mark in marks for each in _fonts_of(mark, first[0], is_bold)))


def _is_ignorable(character: str) -> bool:
    # Joiners and variation selectors select a glyph and have none: HarfBuzz hides them in every font.
    return unicodedata.category(character) == "Cf" or 0xFE00 <= ord(character) <= 0xFE0F or ord(character) >= 0xE0000
