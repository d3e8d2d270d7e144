"""API keys and device tokens with something wrong about them.

Left out is what means the same by RFC 9110: the scheme's case, and blanks around the header's value.
"""

import base64
import hashlib
import string
from collections.abc import Callable
from random import Random

ALPHABET = string.ascii_letters + string.digits + "-_"


def other_character(rng: Random, good: str) -> str:
    place = rng.randrange(len(good))
    return good[:place] + rng.choice([each for each in ALPHABET if each != good[place]]) + good[place + 1 :]


def other_secret(rng: Random, good: str) -> str:
    return good[:3] + "".join(rng.choices(ALPHABET, k=len(good) - 3))


def other_case(rng: Random, good: str) -> str:
    return rng.choice([each for each in (good.upper(), good.lower(), good.swapcase()) if each != good])


def cut(rng: Random, good: str) -> str:
    return good[: rng.randrange(len(good))]


def cut_in_front(rng: Random, good: str) -> str:
    return good[rng.randint(1, len(good) - 1) :]


def grown(rng: Random, good: str) -> str:
    return good + rng.choice(["=", ".", ",", "A", ";", "\t", "%00", "%", "*", good, "A" * 2_000])


def with_a_blank(rng: Random, good: str) -> str:
    place = rng.randint(1, len(good) - 1)
    return good[:place] + rng.choice([" ", "\t", "%20", "+"]) + good[place:]


def with_a_strange_letter(rng: Random, good: str) -> str:
    place = rng.randint(1, len(good) - 1)
    return good[:place] + rng.choice("éßÿ\u00a0\u00ad") + good[place:]


def other_prefix(rng: Random, good: str) -> str:
    prefixes = [
        each for each in ("tk_", "td_", "sk_", "", "TK_", "tk-", "rt_") if not good.startswith(each) or not each
    ]
    return rng.choice([each for each in prefixes if each + good[3:] != good]) + good[3:]


def what_is_stored(rng: Random, good: str) -> str:
    """Who has read the database has the hash, and that is no key."""
    digest = hashlib.sha256(good.encode())
    return rng.choice([digest.hexdigest(), good[:3] + digest.hexdigest(), base64.b64encode(digest.digest()).decode()])


def other_words(rng: Random, good: str) -> str:
    words = ("' OR '1'='1", "%", "_" * len(good), "null", "None", "true", "*", "{}", "[]", "$ne", "0", "tk_", "td_")
    return rng.choice(words)


def in_another_base(rng: Random, good: str) -> str:
    write = rng.choice([base64.b64encode, base64.b16encode, base64.b32encode, base64.urlsafe_b64encode])
    return str(write(good.encode()).decode())


KINDS: tuple[Callable[[Random, str], str], ...] = (
    other_character,
    other_secret,
    other_case,
    cut,
    cut_in_front,
    grown,
    with_a_blank,
    with_a_strange_letter,
    other_prefix,
    what_is_stored,
    other_words,
    in_another_base,
)
