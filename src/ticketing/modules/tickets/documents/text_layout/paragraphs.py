"""Paragraphs: text that is broken into lines in logical order, each of which is then brought into visual order.

The writing direction is resolved for the whole paragraph first (UAX #9, §3.4), by the algorithm of fpdf2: a line that
contains only the Latin end of an Arabic title still belongs to a paragraph that runs from right to left.
"""

import copy
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate

from fpdf.bidi import BidiParagraph
from fpdf.enums import TextDirection

from ticketing.modules.tickets.documents.text_layout.clusters import clusters
from ticketing.modules.tickets.documents.text_layout.lines import Line, Segment, shape, show_invisible

ELLIPSIS = "…"
#: Bidirectional classes that can move characters: right-to-left letters, Arabic digits, and explicit directions.
_MOVING = {"R", "AL", "AN", "RLE", "RLO", "RLI", "LRE", "LRO", "LRI", "FSI"}


class Paragraph:
    """A text with its resolved directions."""

    def __init__(self, text: str, *, is_bold: bool) -> None:
        self.text = text
        self._is_bold = is_bold
        self._bidi: BidiParagraph | None = None
        if any(unicodedata.bidirectional(character) in _MOVING for character in text):
            self._bidi = BidiParagraph(text)
        self._is_rtl = self._bidi is not None and self._bidi.base_direction is TextDirection.RTL

    def line(self, start: int, end: int) -> Line:
        """Lay out the characters from `start` to before `end` as one line."""
        segments: list[Segment] = []
        for text, is_rtl in self._visual_runs(start, end):
            segments += shape(text, is_rtl=is_rtl, is_bold=self._is_bold)
        return Line(self.text[start:end], tuple(segments), self._is_rtl)

    def _visual_runs(self, start: int, end: int) -> Iterator[tuple[str, bool]]:
        """Yield the runs of one direction from left to right, each in logical order, with whether it is RTL."""
        if self._bidi is None:
            yield self.text[start:end], False
            return
        line = copy.copy(self._bidi)
        # Reordering changes the levels of trailing blanks, for this line only.
        line.characters = [copy.copy(c) for c in self._bidi.characters if start <= c.character_index < end]
        if not line.characters:
            yield self.text[start:end], False
            return
        index_of = {c.character_index: n for n, c in enumerate(line.characters)}
        # The algorithm leaves out joiners: each stays with the character before it.
        bounds = [*(c.character_index for c in line.characters), end]
        run: list[int] = []
        level = 0
        for character in line.get_reordered_characters():
            at = index_of[character.character_index]
            if run and (character.embedding_level != level or abs(at - run[-1]) != 1):
                yield self._logical(run, bounds, start), level % 2 == 1
                run = []
            run.append(at)
            level = character.embedding_level
        if run:
            yield self._logical(run, bounds, start), level % 2 == 1

    def _logical(self, run: list[int], bounds: list[int], start: int) -> str:
        first, last = min(run), max(run)
        return self.text[bounds[first] if first else start : bounds[last + 1]]


@lru_cache(maxsize=2048)
def fit(text: str, room: float, *, is_bold: bool = False) -> Line:
    """Lay out one line, truncated with an ellipsis where it is wider than `room` em."""
    paragraph = Paragraph(_clean(text), is_bold=is_bold)
    return show_invisible(_last_line(paragraph, 0, room, is_bold=is_bold))


@lru_cache(maxsize=1024)
def wrap(text: str, room: float, lines_max: int, *, is_bold: bool = False) -> tuple[Line, ...]:
    """Break the text into lines that are at most `room` em wide; the last of `lines_max` is truncated if necessary."""
    paragraph = Paragraph(_clean(text), is_bold=is_bold)
    lines: list[Line] = []
    start, end = 0, len(paragraph.text)
    while start < end and len(lines) < lines_max - 1:
        stop = _break(paragraph, start, room)
        lines.append(paragraph.line(start, stop))
        start = stop + paragraph.text.startswith(" ", stop)
    if start < end:
        lines.append(_last_line(paragraph, start, room, is_bold=is_bold))
    return tuple(map(show_invisible, lines))


def _clean(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _break(paragraph: Paragraph, start: int, room: float) -> int:
    """Return where a line that begins at `start` ends: before a blank, or within a word that is wider than a line."""
    text = paragraph.text
    stops = [n for n in range(start + 1, len(text)) if text[n] == " "] + [len(text)]
    return _longest(paragraph, start, stops, room) or _cut(paragraph, start, room)


def _cut(paragraph: Paragraph, start: int, room: float) -> int:
    """Return the end of the clusters that fit, at least of one."""
    stops = [start + length for length in accumulate(map(len, clusters(paragraph.text[start:])))]
    return _longest(paragraph, start, stops, room) or stops[0]


def _longest(paragraph: Paragraph, start: int, stops: list[int], room: float) -> int | None:
    fitting = bisect_right(stops, room, key=lambda stop: paragraph.line(start, stop).width)
    return stops[fitting - 1] if fitting else None


def _last_line(paragraph: Paragraph, start: int, room: float, *, is_bold: bool) -> Line:
    line = paragraph.line(start, len(paragraph.text))
    if line.width <= room:
        return line
    ellipsis_width = Paragraph(ELLIPSIS, is_bold=is_bold).line(0, 1).width
    head = paragraph.text[: _cut(paragraph, start, room - ellipsis_width)].rstrip()
    cut = Paragraph(head + ELLIPSIS, is_bold=is_bold)
    return cut.line(start, len(cut.text))
