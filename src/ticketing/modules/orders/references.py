"""Order references: short enough to dictate over the telephone, and too many to guess."""

import secrets
import unicodedata

#: Without the look-alikes 0 O and 1 I L. 31 symbols, so 31^8 = 8.5e11 references.
ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
LENGTH = 8
#: Longer texts are not read.
TYPED_LENGTH_MAX = 100


def new_reference() -> str:
    """Generate a random reference such as `7F3K-9QXM`. It may be taken already."""
    symbols = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return f"{symbols[:4]}-{symbols[4:]}"


def find_reference(text: str) -> str | None:
    """Normalize a reference as it was typed, pasted or dictated. Returns None when it is malformed.

    In any case, with or without blanks and dashes of any kind, and in full-width letters.
    """
    symbols = symbols_of(text)
    if len(symbols) != LENGTH or any(symbol not in ALPHABET for symbol in symbols):
        return None
    return f"{symbols[:4]}-{symbols[4:]}"


def symbols_of(text: str) -> str:
    """The symbols of a reference or of a part of one, without what stands between them; empty for other texts."""
    if len(text) > TYPED_LENGTH_MAX:
        return ""
    typed = "".join(symbol for symbol in unicodedata.normalize("NFKC", text) if not _is_between(symbol))
    return typed.upper() if typed.isascii() and typed.isalnum() else ""


def _is_between(symbol: str) -> bool:
    # Programs for texts and e-mails make other dashes out of a hyphen, or add a soft one: U+2212 is the minus sign.
    return symbol in "\u2212\u00ad\u200b" or symbol.isspace() or unicodedata.category(symbol) == "Pd"
