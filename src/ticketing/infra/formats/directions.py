"""Writing directions of texts that are put together from parts."""

import unicodedata

_OPEN, _CLOSE = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"
#: Bidirectional classes of right-to-left letters and of Arabic digits.
_RIGHT_TO_LEFT = {"R", "AL", "AN"}


def isolate(text: str) -> str:
    """Return a part of a longer text so that its direction does not reorder the rest (UAX #9, §2.4.2).

    Only text with right-to-left characters is enclosed, in invisible characters.
    """
    if text.isascii() or not any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in text):
        return text
    return f"{_OPEN}{text}{_CLOSE}"
