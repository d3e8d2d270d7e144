"""The form of a text from a client, and its characters: no control characters, nothing invisible or reordering.

Keyboards and file systems send one text in several forms: `é` as one code point or as two. Each is brought to the
composed form NFC (Unicode Standard Annex 15) before its length is checked, so that equal texts are equal strings.

A name appears between other texts: on a ticket, in an email's subject, in a list for the door staff. An override of the
writing direction changes how the text around it reads, and two names that differ in an invisible character look the
same (Unicode Technical Report 36, §2.5 and §3.2).
"""

import unicodedata
from collections.abc import Iterable
from itertools import groupby

#: Code points that are drawn as nothing: Default_Ignorable_Code_Point in DerivedCoreProperties.txt of Unicode 16, the
#: separators of lines and paragraphs, interlinear annotations, and characters whose glyph is blank.
_INVISIBLE = (
    *(0xAD, 0x34F, 0x61C, *range(0x115F, 0x1161), *range(0x17B4, 0x17B6), *range(0x180B, 0x1810)),
    *(*range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0x2800, 0x3164, 0xFEFF, 0xFFA0),
    *(*range(0xFFF0, 0xFFFC), *range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B), *range(0xE0000, 0xE1000)),
    # Blanks among hieroglyphs, and a note without a head.
    *(0x13441, 0x13442, 0x1D159),
)
#: Persian, several scripts of India, and emoji need joiners; emoji and Han need variation selectors.
_NEEDED = {0x200C, 0x200D, *range(0xE0100, 0xE01F0)}
#: Texts in Arabic and Hebrew need them beside punctuation. They have no effect beyond their neighbours.
_DIRECTION_MARKS = {0x200E, 0x200F, 0x61C}
_CONTROL = {*range(32), 127, *range(0x80, 0xA0)}
_BREAKS = {ord(character) for character in "\n\t\r"}


#: Combining marks in a row, as in the Stream-Safe Text Format (Unicode Standard Annex 15, section 13). The time that
#: their ordering takes grows with the square of their number.
MARKS_MAX = 30


def _text_of(code_points: Iterable[int]) -> frozenset[str]:
    return frozenset(map(chr, code_points))


_REFUSED_IN_LINE = _text_of({*_INVISIBLE} - _NEEDED)
_REFUSED_IN_TEXT = _text_of({*_INVISIBLE} - _NEEDED - _DIRECTION_MARKS)
_CONTROL_IN_LINE = _text_of(_CONTROL)
_CONTROL_IN_TEXT = _text_of(_CONTROL - _BREAKS)


def compose(value: object) -> object:
    """Return a text in NFC; other values are returned as they are. Raises ValueError for too many marks in a row."""
    if not isinstance(value, str) or value.isascii() or unicodedata.is_normalized("NFC", value):
        return value
    marks = (len([*run]) for is_mark, run in groupby(value, lambda c: unicodedata.combining(c) > 0) if is_mark)
    if max(marks, default=0) > MARKS_MAX:
        raise ValueError(f"must not have more than {MARKS_MAX} combining marks in a row")
    return unicodedata.normalize("NFC", value)


def check_text(text: str) -> str:
    """Return a text of several lines, which may be empty but not invisible. Raises ValueError."""
    _check(text, _CONTROL_IN_TEXT, _REFUSED_IN_TEXT)
    return _check_visible(text) if text else text


def check_line(text: str) -> str:
    """Return a text of one line with at least one visible character. Raises ValueError."""
    if not _BREAKS.isdisjoint(map(ord, text)):
        raise ValueError("must be one line")
    return _check_visible(_check(text, _CONTROL_IN_LINE, _REFUSED_IN_LINE))


def _check_visible(text: str) -> str:
    if not any(unicodedata.category(character)[0] in "LNPS" for character in text):
        raise ValueError("must contain a visible character")
    return text


def _check(text: str, control: frozenset[str], refused: frozenset[str]) -> str:
    if text.isascii() and text.isprintable():
        return text
    # Postgres cannot store NUL; the other control characters make no sense in a name.
    if not control.isdisjoint(text):
        raise ValueError("must not contain control characters")
    if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise ValueError("must be valid Unicode")
    if not refused.isdisjoint(text):
        raise ValueError("must not contain invisible characters or ones that change the writing direction")
    return text
