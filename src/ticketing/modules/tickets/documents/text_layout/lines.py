"""Lines: glyphs in the order in which they are drawn, from left to right."""

import unicodedata
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import uharfbuzz as hb

from ticketing.modules.tickets.documents.text_layout.fonts import Font, pieces

#: Width of the box that stands for a character without a glyph.
BOX_WIDTH = 0.95


class Glyph(NamedTuple):
    """A glyph of a font. Offsets and advance are in em; `text` is what it stands for, and empty within a cluster."""

    id: int
    text: str
    x: float
    y: float
    advance: float


@dataclass(frozen=True, slots=True)
class Segment:
    """Glyphs of one font; or, without a font, characters that are drawn as boxes with their code points."""

    font: Font | None
    text: str
    glyphs: tuple[Glyph, ...]
    width: float


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text. `text` is in logical order, the segments in visual order."""

    text: str
    segments: tuple[Segment, ...]
    is_rtl: bool

    @property
    def width(self) -> float:
        """The width in em."""
        return sum(segment.width for segment in self.segments)


def shape(text: str, *, is_rtl: bool, is_bold: bool) -> list[Segment]:
    """Shape a text of one direction. Brackets are mirrored where it runs from right to left."""
    segments = [
        _shape(font, piece, is_rtl=is_rtl) if font else _boxes(piece, is_rtl=is_rtl)
        for font, piece in pieces(text, is_bold=is_bold)
    ]
    return segments[::-1] if is_rtl else segments


def show_invisible(line: Line) -> Line:
    """Return the line with boxes if all of its glyphs are blank: a text is never drawn as nothing."""
    if any(unicodedata.category(character)[0] in "LNPS" for character in line.text) and _has_ink(line):
        return line
    characters = "".join(line.text.split())
    return Line(line.text, (_boxes(characters, is_rtl=False),), line.is_rtl) if characters else line


def _has_ink(line: Line) -> bool:
    for segment in line.segments:
        if segment.font is None:
            return True
        extents = (segment.font.shaper.get_glyph_extents(glyph.id) for glyph in segment.glyphs)
        if any(each and each.width and each.height for each in extents):
            return True
    return False


def _boxes(text: str, *, is_rtl: bool) -> Segment:
    return Segment(None, text[::-1] if is_rtl else text, (), BOX_WIDTH * len(text))


def _shape(font: Font, text: str, *, is_rtl: bool) -> Segment:
    buffer = hb.Buffer()
    # One glyph per character where possible, so that the text can be copied from the file.
    buffer.cluster_level = hb.BufferClusterLevel.MONOTONE_CHARACTERS
    buffer.add_str(text)
    buffer.direction = "rtl" if is_rtl else "ltr"
    buffer.guess_segment_properties()
    # The guess takes the language of the server's locale.
    buffer.language = "und"
    hb.shape(font.shaper, buffer)
    em = font.shaper.face.upem
    texts = _texts_by_cluster(text, [info.cluster for info in buffer.glyph_infos])
    glyphs = tuple(
        Glyph(info.codepoint, source, place.x_offset / em, place.y_offset / em, place.x_advance / em)
        for source, info, place in zip(texts, buffer.glyph_infos, buffer.glyph_positions, strict=True)
    )
    return Segment(font, text, glyphs, sum(glyph.advance for glyph in glyphs))


def _texts_by_cluster(text: str, starts: list[int]) -> list[str]:
    """Share the characters of each cluster among its glyphs. `starts` has the cluster's first index for each glyph."""
    ends = dict(zip(sorted(set(starts)), [*sorted(set(starts))[1:], len(text)], strict=True))
    texts: list[str] = []
    for start, group in groupby(starts):
        count = len(list(group))
        characters = text[start : ends[start]]
        texts += [characters[n : n + 1] for n in range(count - 1)] + [characters[count - 1 :]]
    return texts
