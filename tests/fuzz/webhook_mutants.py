"""Mutated payment webhooks: none is signed with the secret and a current timestamp.

Equivalent mutations are omitted: whitespace around a part of the header, further parts other than `t` and `v1`, and a
second `v1` beside the valid one, which providers send while they rotate a secret.
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
    """A body with its signature header, if any."""

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

    def with_header(self, seconds: object, digest: str) -> "Webhook":
        return replace(self, header=f"t={seconds},v1={digest}")


def sign(raw: bytes, seconds: int, secret: str = WEBHOOK_SECRET) -> Webhook:
    """Sign like the provider: the hex HMAC-SHA256 of `<t>.<raw body>`."""
    return Webhook(raw, None).with_header(seconds, _hmac(f"{seconds}.".encode() + raw, secret))


def _hmac(message: bytes, secret: str = WEBHOOK_SECRET, name: str = "sha256") -> str:
    return hmac.new(secret.encode(), message, name).hexdigest()


def _flip(rng: Random, raw: bytes) -> bytes:
    place, bit = rng.randrange(len(raw)), 1 << rng.randrange(8)
    return raw[:place] + bytes([raw[place] ^ bit]) + raw[place + 1 :]


def flipped_body(rng: Random, valid: Webhook) -> Webhook:
    return replace(valid, raw=_flip(rng, valid.raw))


def flipped_signature(rng: Random, valid: Webhook) -> Webhook:
    place = rng.randrange(64)
    other = rng.choice([c for c in string.hexdigits.lower() if c != valid.digest[place]])
    return valid.with_header(valid.seconds, valid.digest[:place] + other + valid.digest[place + 1 :])


def other_time(rng: Random, valid: Webhook) -> Webhook:
    return valid.with_header(valid.seconds + rng.choice([-1, 1]) * rng.randint(1, 2 * TOLERANCE_SECONDS), valid.digest)


def other_format_of_the_time(rng: Random, valid: Webhook) -> Webhook:
    now = valid.seconds
    spellings = (f"0{now}", f"+{now}", f"{now}.0", f"-{now}", f"{now:,}", f"{now:x}", f"{now}e0", f" {now}", "", "NaN")
    # `int` accepts digits of other scripts.
    far = "".join(chr(0x0660 + int(digit)) for digit in str(now))
    return valid.with_header(rng.choice([*spellings, far, str(now) + "0" * rng.randint(1, 400)]), valid.digest)


def too_old_or_too_new(rng: Random, valid: Webhook) -> Webhook:
    off = rng.choice([-1, 1]) * rng.randint(TOLERANCE_SECONDS + 60, 10**9)
    return sign(valid.raw, max(0, valid.seconds + off))


def cut_body(rng: Random, valid: Webhook) -> Webhook:
    return replace(valid, raw=valid.raw[: rng.randrange(len(valid.raw))])


def extended_body(rng: Random, valid: Webhook) -> Webhook:
    more, place = rng.choice([b" ", b"\n", b"\0", b"{}", b"}", valid.raw]), rng.choice([0, len(valid.raw)])
    return replace(valid, raw=valid.raw[:place] + more * rng.randint(1, 3) + valid.raw[place:])


def cut_signature(rng: Random, valid: Webhook) -> Webhook:
    return valid.with_header(valid.seconds, valid.digest[: rng.randrange(64)])


def cut_header(rng: Random, valid: Webhook) -> Webhook:
    return replace(valid, header=str(valid.header)[: rng.randrange(len(str(valid.header)))])


def other_fields(rng: Random, valid: Webhook) -> Webhook:
    """Another amount, currency, payment or event type with the old signature."""
    fields: dict[str, Any] = orjson.loads(valid.raw)
    name = rng.choice(list(fields))
    wrong = {"amount": rng.randint(0, 10**6) + 10**7, "currency": "USD", "type": "refund.succeeded"}
    fields[name] = wrong.get(name, f"x_{rng.getrandbits(64):x}")
    return replace(valid, raw=orjson.dumps(fields))


def same_fields_in_other_bytes(rng: Random, valid: Webhook) -> Webhook:
    fields = orjson.loads(valid.raw)
    pretty = orjson.dumps(fields, option=orjson.OPT_INDENT_2)
    turned = orjson.dumps(dict(reversed(fields.items())))
    text = valid.raw.decode()
    encoded = [text.encode(each) for each in ("utf-8-sig", "utf-16", "utf-16-le", "utf-32")]
    return replace(valid, raw=rng.choice([pretty, turned, text.replace(":", ": ").encode(), *encoded]))


def other_name_of_a_part(rng: Random, valid: Webhook) -> Webhook:
    time, digest = rng.choice(
        [("t", "v0"), ("t", "V1"), ("t", "v2"), ("t", "v1[]"), ("T", "v1"), ("ts", "v1"), ("t", ""), ("", "v1")]
    )
    return replace(valid, header=f"{time}={valid.seconds},{digest}={valid.digest}")


def other_separators(rng: Random, valid: Webhook) -> Webhook:
    between, equals = rng.choice([(";", "="), ("&", "="), (",", ":"), ("\t", "="), ("|", "="), ("", "=")])
    return replace(valid, header=f"t{equals}{valid.seconds}{between}v1{equals}{valid.digest}")


def other_format_of_the_signature(rng: Random, valid: Webhook) -> Webhook:
    raw, place = bytes.fromhex(valid.digest), rng.randrange(1, 63)
    spellings = [
        valid.digest.upper() if valid.digest.upper() != valid.digest else "",
        "0x" + valid.digest,
        "sha256=" + valid.digest,
        f'"{valid.digest}"',
        valid.digest[:place] + " " + valid.digest[place:],
        valid.digest[:place] + "é" + valid.digest[place:],
        valid.digest + "00",
        raw.decode("latin-1"),
        valid.digest[::-1],
    ]
    return valid.with_header(valid.seconds, rng.choice(spellings))


def time_twice(rng: Random, valid: Webhook) -> Webhook:
    other = rng.choice([valid.seconds, valid.seconds + rng.randint(-400, 400), 0])
    return replace(valid, header=rng.choice([f"t={other},{valid.header}", f"{valid.header},t={other}"]))


def wrong_signature_twice(rng: Random, valid: Webhook) -> Webhook:
    wrong = [f"v1={rng.getrandbits(256):064x}" for _ in range(rng.randint(2, 12))]
    return replace(valid, header=f"t={valid.seconds}," + ",".join([*wrong, "v1="]))


def another_secret(rng: Random, valid: Webhook) -> Webhook:
    near = [WEBHOOK_SECRET[:-1], WEBHOOK_SECRET + " ", WEBHOOK_SECRET.upper(), "", "whsec", f"{rng.getrandbits(64):x}"]
    return sign(valid.raw, valid.seconds, rng.choice(near))


def another_message(rng: Random, valid: Webhook) -> Webhook:
    """The signature of another message, with the right secret."""
    time, raw = str(valid.seconds).encode(), valid.raw
    return valid.with_header(
        valid.seconds, _hmac(rng.choice([raw, time + raw, raw + b"." + time, time + b".", b"", time]))
    )


def another_digest(rng: Random, valid: Webhook) -> Webhook:
    message = f"{valid.seconds}.".encode() + valid.raw
    plain = hashlib.sha256(WEBHOOK_SECRET.encode() + message).hexdigest()
    weaker = [_hmac(message, name=name) for name in ("sha1", "md5", "sha512", "sha384", "sha3_256")]
    return valid.with_header(valid.seconds, rng.choice([plain, *weaker]))


def signature_of_another_webhook(rng: Random, valid: Webhook) -> Webhook:
    other = sign(orjson.dumps({**orjson.loads(valid.raw), "id": f"evt_{rng.getrandbits(64):x}"}), valid.seconds)
    return valid.with_header(valid.seconds, other.digest)


def no_signature(rng: Random, valid: Webhook) -> Webhook:
    return replace(
        valid, header=rng.choice([None, "", ",", "=", "t=,v1=", "v1=", f"t={valid.seconds}", "none", "," * 900])
    )


def under_another_name(rng: Random, valid: Webhook) -> Webhook:
    return replace(valid, name=rng.choice(["Stripe-Signature", "X-Mock-Signature", "Signature", "Mock_Signature"]))


def after_a_long_prefix(rng: Random, valid: Webhook) -> Webhook:
    """The valid parts are beyond the limit up to which a header is read."""
    return replace(valid, header="x=" + "a" * rng.randint(1_000, 3_000) + "," + str(valid.header))


KINDS: tuple[Callable[[Random, Webhook], Webhook], ...] = (
    flipped_body,
    flipped_signature,
    other_time,
    other_format_of_the_time,
    too_old_or_too_new,
    cut_body,
    extended_body,
    cut_signature,
    cut_header,
    other_fields,
    same_fields_in_other_bytes,
    other_name_of_a_part,
    other_separators,
    other_format_of_the_signature,
    time_twice,
    wrong_signature_twice,
    another_secret,
    another_message,
    another_digest,
    signature_of_another_webhook,
    no_signature,
    under_another_name,
    after_a_long_prefix,
)
