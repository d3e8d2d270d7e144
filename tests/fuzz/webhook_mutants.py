"""Signed webhooks with something wrong about them: none of these was signed by who knows the secret, or not now.

Left out is what means the same: blanks around a part of the header, further parts that are no `t` or `v1`, and a second
`v1` beside the good one, which is how a provider changes its secret.
"""

import hashlib
import hmac
import string
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import orjson

from tests.support.world import WEBHOOK_SECRET

TOLERANCE_SECONDS = 300


@dataclass(frozen=True)
class Webhook:
    """A body with its signature header; None stands for no header."""

    raw: bytes
    header: str | None
    name: str = "Mock-Signature"

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.header is None else {self.name: self.header}

    @property
    def seconds(self) -> int:
        return int(str(self.header).split(",")[0].removeprefix("t="))

    @property
    def digest(self) -> str:
        return str(self.header).partition("v1=")[2]

    def said(self, seconds: object, digest: str) -> "Webhook":
        return replace(self, header=f"t={seconds},v1={digest}")


def sign(raw: bytes, seconds: int, secret: str = WEBHOOK_SECRET) -> Webhook:
    """As the provider signs: the hex HMAC-SHA256 of `<t>.<raw body>`."""
    return Webhook(raw, None).said(seconds, _hmac(f"{seconds}.".encode() + raw, secret))


def _hmac(message: bytes, secret: str = WEBHOOK_SECRET, name: str = "sha256") -> str:
    return hmac.new(secret.encode(), message, name).hexdigest()


def _flip(rng: Random, raw: bytes) -> bytes:
    place, bit = rng.randrange(len(raw)), 1 << rng.randrange(8)
    return raw[:place] + bytes([raw[place] ^ bit]) + raw[place + 1 :]


def flipped_body(rng: Random, good: Webhook) -> Webhook:
    return replace(good, raw=_flip(rng, good.raw))


def flipped_signature(rng: Random, good: Webhook) -> Webhook:
    place = rng.randrange(64)
    other = rng.choice([c for c in string.hexdigits.lower() if c != good.digest[place]])
    return good.said(good.seconds, good.digest[:place] + other + good.digest[place + 1 :])


def other_time(rng: Random, good: Webhook) -> Webhook:
    return good.said(good.seconds + rng.choice([-1, 1]) * rng.randint(1, 2 * TOLERANCE_SECONDS), good.digest)


def other_spelling_of_the_time(rng: Random, good: Webhook) -> Webhook:
    now = good.seconds
    spellings = (f"0{now}", f"+{now}", f"{now}.0", f"-{now}", f"{now:,}", f"{now:x}", f"{now}e0", f" {now}", "", "NaN")
    # Digits of other scripts are digits to `int`.
    far = "".join(chr(0x0660 + int(digit)) for digit in str(now))
    return good.said(rng.choice([*spellings, far, str(now) + "0" * rng.randint(1, 400)]), good.digest)


def too_old_or_too_new(rng: Random, good: Webhook) -> Webhook:
    off = rng.choice([-1, 1]) * rng.randint(TOLERANCE_SECONDS + 60, 10**9)
    return sign(good.raw, max(0, good.seconds + off))


def cut_body(rng: Random, good: Webhook) -> Webhook:
    return replace(good, raw=good.raw[: rng.randrange(len(good.raw))])


def grown_body(rng: Random, good: Webhook) -> Webhook:
    more, place = rng.choice([b" ", b"\n", b"\0", b"{}", b"}", good.raw]), rng.choice([0, len(good.raw)])
    return replace(good, raw=good.raw[:place] + more * rng.randint(1, 3) + good.raw[place:])


def cut_signature(rng: Random, good: Webhook) -> Webhook:
    return good.said(good.seconds, good.digest[: rng.randrange(64)])


def cut_header(rng: Random, good: Webhook) -> Webhook:
    return replace(good, header=str(good.header)[: rng.randrange(len(str(good.header)))])


def other_facts(rng: Random, good: Webhook) -> Webhook:
    """The old signature under another amount, currency, payment or kind of event."""
    facts: dict[str, Any] = orjson.loads(good.raw)
    name = rng.choice(list(facts))
    wrong = {"amount": rng.randint(0, 10**6) + 10**7, "currency": "USD", "type": "refund.succeeded"}
    facts[name] = wrong.get(name, f"x_{rng.getrandbits(64):x}")
    return replace(good, raw=orjson.dumps(facts))


def same_facts_in_other_bytes(rng: Random, good: Webhook) -> Webhook:
    facts = orjson.loads(good.raw)
    pretty = orjson.dumps(facts, option=orjson.OPT_INDENT_2)
    turned = orjson.dumps(dict(reversed(facts.items())))
    text = good.raw.decode()
    encoded = [text.encode(each) for each in ("utf-8-sig", "utf-16", "utf-16-le", "utf-32")]
    return replace(good, raw=rng.choice([pretty, turned, text.replace(":", ": ").encode(), *encoded]))


def other_name_of_a_part(rng: Random, good: Webhook) -> Webhook:
    time, digest = rng.choice(
        [("t", "v0"), ("t", "V1"), ("t", "v2"), ("t", "v1[]"), ("T", "v1"), ("ts", "v1"), ("t", ""), ("", "v1")]
    )
    return replace(good, header=f"{time}={good.seconds},{digest}={good.digest}")


def other_separators(rng: Random, good: Webhook) -> Webhook:
    between, equals = rng.choice([(";", "="), ("&", "="), (",", ":"), ("\t", "="), ("|", "="), ("", "=")])
    return replace(good, header=f"t{equals}{good.seconds}{between}v1{equals}{good.digest}")


def other_spelling_of_the_signature(rng: Random, good: Webhook) -> Webhook:
    raw, place = bytes.fromhex(good.digest), rng.randrange(1, 63)
    spellings = [
        good.digest.upper() if good.digest.upper() != good.digest else "",
        "0x" + good.digest,
        "sha256=" + good.digest,
        f'"{good.digest}"',
        good.digest[:place] + " " + good.digest[place:],
        good.digest[:place] + "é" + good.digest[place:],
        good.digest + "00",
        raw.decode("latin-1"),
        good.digest[::-1],
    ]
    return good.said(good.seconds, rng.choice(spellings))


def time_twice(rng: Random, good: Webhook) -> Webhook:
    other = rng.choice([good.seconds, good.seconds + rng.randint(-400, 400), 0])
    return replace(good, header=rng.choice([f"t={other},{good.header}", f"{good.header},t={other}"]))


def wrong_signature_twice(rng: Random, good: Webhook) -> Webhook:
    wrong = [f"v1={rng.getrandbits(256):064x}" for _ in range(rng.randint(2, 12))]
    return replace(good, header=f"t={good.seconds}," + ",".join([*wrong, "v1="]))


def another_secret(rng: Random, good: Webhook) -> Webhook:
    near = [WEBHOOK_SECRET[:-1], WEBHOOK_SECRET + " ", WEBHOOK_SECRET.upper(), "", "whsec", f"{rng.getrandbits(64):x}"]
    return sign(good.raw, good.seconds, rng.choice(near))


def another_message(rng: Random, good: Webhook) -> Webhook:
    """Signed with the right secret, but not what has to be signed."""
    time, raw = str(good.seconds).encode(), good.raw
    return good.said(good.seconds, _hmac(rng.choice([raw, time + raw, raw + b"." + time, time + b".", b"", time])))


def another_digest(rng: Random, good: Webhook) -> Webhook:
    message = f"{good.seconds}.".encode() + good.raw
    plain = hashlib.sha256(WEBHOOK_SECRET.encode() + message).hexdigest()
    weaker = [_hmac(message, name=name) for name in ("sha1", "md5", "sha512", "sha384", "sha3_256")]
    return good.said(good.seconds, rng.choice([plain, *weaker]))


def anothers_signature(rng: Random, good: Webhook) -> Webhook:
    other = sign(orjson.dumps({**orjson.loads(good.raw), "id": f"evt_{rng.getrandbits(64):x}"}), good.seconds)
    return good.said(good.seconds, other.digest)


def no_signature(rng: Random, good: Webhook) -> Webhook:
    return replace(
        good, header=rng.choice([None, "", ",", "=", "t=,v1=", "v1=", f"t={good.seconds}", "none", "," * 900])
    )


def under_another_name(rng: Random, good: Webhook) -> Webhook:
    return replace(good, name=rng.choice(["Stripe-Signature", "X-Mock-Signature", "Signature", "Mock_Signature"]))


def behind_a_long_header(rng: Random, good: Webhook) -> Webhook:
    """The good parts stand behind what is read of a header."""
    return replace(good, header="x=" + "a" * rng.randint(1_000, 3_000) + "," + str(good.header))


KINDS: tuple[Callable[[Random, Webhook], Webhook], ...] = (
    flipped_body,
    flipped_signature,
    other_time,
    other_spelling_of_the_time,
    too_old_or_too_new,
    cut_body,
    grown_body,
    cut_signature,
    cut_header,
    other_facts,
    same_facts_in_other_bytes,
    other_name_of_a_part,
    other_separators,
    other_spelling_of_the_signature,
    time_twice,
    wrong_signature_twice,
    another_secret,
    another_message,
    another_digest,
    anothers_signature,
    no_signature,
    under_another_name,
    behind_a_long_header,
)
