"""Order references: short enough to dictate over the telephone, and too many to guess."""

import secrets

#: Without the look-alikes 0 O and 1 I L. 31 symbols, so 31^8 = 8.5e11 references.
ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
LENGTH = 8


def new_reference() -> str:
    """Generate a random reference such as `7F3K-9QXM`. It may be taken already."""
    symbols = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return f"{symbols[:4]}-{symbols[4:]}"


def find_reference(text: str) -> str | None:
    """Normalize a typed reference: any case, with or without hyphens and blanks. Returns None when it is malformed."""
    symbols = "".join(text.upper().split()).replace("-", "")
    if not text.isascii() or len(symbols) != LENGTH or any(symbol not in ALPHABET for symbol in symbols):
        return None
    return f"{symbols[:4]}-{symbols[4:]}"
