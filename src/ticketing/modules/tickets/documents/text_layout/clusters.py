"""Clusters: the parts of a text that are drawn as one, and never separated by a line break or a change of font."""

import unicodedata
from functools import lru_cache

_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
#: Vowel signs that Unicode classifies as letters, for Thai and Lao (SpacingMark in UAX #29).
_VOWEL_SIGNS = "\N{THAI CHARACTER SARA AM}\N{LAO VOWEL SIGN AM}"
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_TAGS = range(0xE0020, 0xE0080)
_FLAG_LETTERS = range(0x1F1E6, 0x1F200)
#: Canonical combining class of the signs that join two consonants into one shape.
_VIRAMA = 9


@lru_cache(maxsize=4096)
def clusters(text: str) -> tuple[str, ...]:
    """Split a text into letters with their marks, conjuncts, and emoji with what modifies them.

    The rules are those of extended grapheme clusters in UAX #29, without the ones about Hangul letters, which NFC
    composes, and about line ends, which a line does not contain.
    """
    found: list[str] = []
    for character in text:
        if found and _joins(found[-1], character):
            found[-1] += character
        else:
            found.append(character)
    return tuple(found)


def _joins(before: str, character: str) -> bool:
    last, code = before[-1], ord(character)
    if unicodedata.category(character)[0] == "M" or character in _JOINERS or character in _VOWEL_SIGNS:
        return True
    if code in _SKIN_TONES or code in _TAGS:
        return True
    if code in _FLAG_LETTERS:
        return len(before) == 1 and ord(before) in _FLAG_LETTERS
    return last == _JOINERS[1] or (unicodedata.combining(last) == _VIRAMA and character.isalpha())
