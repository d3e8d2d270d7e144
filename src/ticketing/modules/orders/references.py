"""Order references: short enough to read aloud on the telephone, too many to guess."""

import secrets

#: No 0 O, no 1 I L: nobody has to ask which one was meant. 31 symbols, so 31^8 = 8.5e11 references.
ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
LENGTH = 8


def new_reference() -> str:
    """A reference like `7F3K-9QXM`."""
    symbols = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return f"{symbols[:4]}-{symbols[4:]}"


def find_reference(text: str) -> str | None:
    """The reference that somebody has typed, in any case, with or without its hyphen; None when it can't be one."""
    symbols = "".join(text.upper().split()).replace("-", "")
    if not text.isascii() or len(symbols) != LENGTH or any(symbol not in ALPHABET for symbol in symbols):
        return None
    return f"{symbols[:4]}-{symbols[4:]}"
