"""What may be a password: length is what counts, and that it is not what is tried first.

There are no rules about kinds of characters, and no date on which a password runs out (NIST SP 800-63B §3.1.1.2, ASVS
5.0 §6.2). The reasons are worded as what is wrong with the field.
"""

import unicodedata
from pathlib import Path

from ticketing.infra.errors import Invalid
from ticketing.modules.iam.queries import normalize_email

LENGTH_MIN, LENGTH_MAX = 10, 128

#: What leaks of passwords have in common: rows of the keyboard, counting, a word and a year. In lower case, one a line.
COMMON_PASSWORDS = frozenset(Path(__file__).with_name("common_passwords.txt").read_text("utf-8").splitlines())


def normalize_password(password: str) -> str:
    """The same characters can be typed as different code points, depending on the keyboard."""
    return unicodedata.normalize("NFKC", password)


def refuse_guessable(password: str) -> str:
    """For a normalized password. Raises ValueError when it is too short now, or one that everybody thinks of."""
    if len(password) < LENGTH_MIN:
        raise ValueError(f"must have at least {LENGTH_MIN} characters")
    if password.casefold() in COMMON_PASSWORDS:
        raise ValueError("is one of the passwords that are tried first; choose another")
    return password


def refuse_own_address(password: str, email: str, field: str = "password") -> None:
    """Raises Invalid when the password is the person's e-mail address, or what stands before its @."""
    address = normalize_email(email)
    if password.casefold() in {address, address.partition("@")[0]}:
        raise Invalid("must not be your e-mail address; choose another", field=field)
