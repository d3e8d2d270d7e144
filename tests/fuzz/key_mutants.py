"""Mutated API keys and device tokens.

Mutations that RFC 9110 defines as equal are omitted: the case of the scheme, and whitespace around the header's value.
"""

import base64
import hashlib
import string
from collections.abc import Callable
from random import Random

ALPHABET = string.ascii_letters + string.digits + "-_"


def other_character(rng: Random, valid: str) -> str:
    place = rng.randrange(len(valid))
    return valid[:place] + rng.choice([each for each in ALPHABET if each != valid[place]]) + valid[place + 1 :]


def other_secret(rng: Random, valid: str) -> str:
    return valid[:3] + "".join(rng.choices(ALPHABET, k=len(valid) - 3))


def other_case(rng: Random, valid: str) -> str:
    return rng.choice([each for each in (valid.upper(), valid.lower(), valid.swapcase()) if each != valid])


def cut(rng: Random, valid: str) -> str:
    return valid[: rng.randrange(len(valid))]


def cut_at_the_start(rng: Random, valid: str) -> str:
    return valid[rng.randint(1, len(valid) - 1) :]


def extended(rng: Random, valid: str) -> str:
    return valid + rng.choice(["=", ".", ",", "A", ";", "\t", "%00", "%", "*", valid, "A" * 2_000])


def with_whitespace(rng: Random, valid: str) -> str:
    place = rng.randint(1, len(valid) - 1)
    return valid[:place] + rng.choice([" ", "\t", "%20", "+"]) + valid[place:]


def with_a_non_ascii_character(rng: Random, valid: str) -> str:
    place = rng.randint(1, len(valid) - 1)
    return valid[:place] + rng.choice("éßÿ\u00a0\u00ad") + valid[place:]


def other_prefix(rng: Random, valid: str) -> str:
    prefixes = [
        each for each in ("tk_", "td_", "sk_", "", "TK_", "tk-", "rt_") if not valid.startswith(each) or not each
    ]
    return rng.choice([each for each in prefixes if each + valid[3:] != valid]) + valid[3:]


def the_stored_hash(rng: Random, valid: str) -> str:
    """The stored hash, which a reader of the database could try as a key."""
    digest = hashlib.sha256(valid.encode())
    return rng.choice([digest.hexdigest(), valid[:3] + digest.hexdigest(), base64.b64encode(digest.digest()).decode()])


def special_words(rng: Random, valid: str) -> str:
    words = ("' OR '1'='1", "%", "_" * len(valid), "null", "None", "true", "*", "{}", "[]", "$ne", "0", "tk_", "td_")
    return rng.choice(words)


def in_another_encoding(rng: Random, valid: str) -> str:
    write = rng.choice([base64.b64encode, base64.b16encode, base64.b32encode, base64.urlsafe_b64encode])
    return str(write(valid.encode()).decode())


KINDS: tuple[Callable[[Random, str], str], ...] = (
    other_character,
    other_secret,
    other_case,
    cut,
    cut_at_the_start,
    extended,
    with_whitespace,
    with_a_non_ascii_character,
    other_prefix,
    the_stored_hash,
    special_words,
    in_another_encoding,
)
