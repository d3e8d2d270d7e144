"""Mutated ticket codes: forged, altered, encoded differently, or signed with another key."""

import base64
import hashlib
import hmac
import string
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ticketing.modules.tickets.codes import CodeClaims, Keyring

ALPHABET = string.ascii_uppercase + "234567"
#: The order of Ed25519's group (RFC 8032, 5.1): S and S + L denote the same point.
L = 2**252 + 27742317777372353535851937790883648493
BASES = (base64.b64encode, base64.urlsafe_b64encode, base64.b16encode, base64.b32hexencode, base64.b85encode)

#: The y coordinates of the eight points of small order, and their non-canonical encodings (RFC 7748; the list is from
#: "Taming the Many EdDSAs", Chalkias and others, 2020, table 5).
SMALL_ORDER = tuple(
    bytes.fromhex(each)
    for each in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    )
)
#: Characters that look like those of a code, or become them by case folding or normalization.
LOOKALIKES = {
    "A": "\u0410\u0391\uff41",
    "B": "\u0412\u0392",
    "E": "\u0415\u0395",
    "I": "\u0406\u0399\u0131",
    "K": "\u041a\u039a\u212a",
    "O": "\u041e\u039f",
    "S": "\u0405\u017f",
    "T": "\u0422\u03a4",
    "2": "\uff12\u00b2",
    ".": "\uff0e\u3002\u2027",
}
_SPACES = " \t\n\r\0\u00a0\u200b\u200d\u2060\ufeff\u202e\u0301+"
INVISIBLE = (*_SPACES, "%20")


@dataclass(frozen=True)
class Code:
    """The parts of a code."""

    kid: str
    payload: bytes
    signature: bytes

    @classmethod
    def of(cls, text: str) -> "Code":
        _, kid, payload, signature = text.split(".")
        return cls(kid, _from32(payload), _from32(signature))

    @property
    def signed(self) -> str:
        return f"TK1.{self.kid}.{_to32(self.payload)}"

    def __str__(self) -> str:
        return f"{self.signed}.{_to32(self.signature)}"


def _to32(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=")


def _from32(text: str) -> bytes:
    return base64.b32decode(text + "=" * (-len(text) % 8))


def _flip(rng: Random, raw: bytes) -> bytes:
    place = rng.randrange(len(raw) * 8)
    return bytes(byte ^ (1 << place % 8 if index == place // 8 else 0) for index, byte in enumerate(raw))


def other_character(rng: Random, valid: str) -> str:
    place = rng.randrange(len(valid))
    others = [each for each in ALPHABET + string.ascii_lowercase + "01.-_=" if each != valid[place]]
    return valid[:place] + rng.choice(others) + valid[place + 1 :]


def other_ticket(rng: Random, valid: str) -> str:
    """A payload with one flipped bit and the old signature."""
    code = Code.of(valid)
    return str(Code(code.kid, _flip(rng, code.payload), code.signature))


def other_version(rng: Random, valid: str) -> str:
    code = Code.of(valid)
    version = (int.from_bytes(code.payload[-2:], "big") + rng.randint(1, 65_535)) % 65_536
    return str(Code(code.kid, code.payload[:-2] + version.to_bytes(2, "big"), code.signature))


def other_signature(rng: Random, valid: str) -> str:
    code = Code.of(valid)
    return str(Code(code.kid, code.payload, _flip(rng, code.signature)))


def noncanonical_scalar(rng: Random, valid: str) -> str:
    """S + nL instead of S: the equation still holds, but RFC 8032 requires it to be refused."""
    code = Code.of(valid)
    scalar = int.from_bytes(code.signature[32:], "little") + rng.randint(1, 14) * L
    return str(Code(code.kid, code.payload, code.signature[:32] + (scalar % 2**256).to_bytes(32, "little")))


def negated_scalar(rng: Random, valid: str) -> str:
    code = Code.of(valid)
    scalar = L - int.from_bytes(code.signature[32:], "little")
    point = bytes([*code.signature[:31], code.signature[31] ^ rng.choice([0, 0x80])])
    return str(Code(code.kid, code.payload, point + scalar.to_bytes(32, "little")))


def small_order_point(rng: Random, valid: str) -> str:
    code, scalar = Code.of(valid), rng.choice([0, 1, L, L - 1, rng.randrange(L)])
    return str(Code(code.kid, code.payload, rng.choice(SMALL_ORDER) + scalar.to_bytes(32, "little")))


def empty_signature(rng: Random, valid: str) -> str:
    code = Code.of(valid)
    return str(Code(code.kid, code.payload, rng.choice([b"", b"\0", b"\0" * 64, b"\xff" * 64, b"\0" * 63, b"\0" * 65])))


def signed_with_another_key(rng: Random, valid: str) -> str:
    """Signed with another key, under the id of the known key."""
    code, key = Code.of(valid), Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))
    return str(Code(code.kid, code.payload, key.sign(code.signed.encode())))


def with_an_unknown_key(rng: Random, valid: str) -> str:
    payload = Code.of(valid).payload
    claims = CodeClaims(UUID(bytes=payload[1:17]), UUID(bytes=payload[17:33]), int.from_bytes(payload[33:], "big"))
    return Keyring([rng.randbytes(32)]).sign(claims)


def other_key_id(rng: Random, valid: str) -> str:
    code = Code.of(valid)
    names = [
        "",
        "none",
        "../..",
        "*",
        code.kid.lower(),
        code.kid[:-1],
        code.kid * 2,
        _to32(rng.randbytes(5)),
        "' OR 1=1",
    ]
    return str(Code(rng.choice(names), code.payload, code.signature))


def key_used_as_an_hmac_secret(rng: Random, valid: str) -> str:
    """Key confusion: an HMAC whose secret is public."""
    code = Code.of(valid)
    secret, digest = rng.choice([code.kid.encode(), rng.randbytes(32), b""]), rng.choice(["sha512", "sha3_512"])
    return str(Code(code.kid, code.payload, hmac.new(secret, code.signed.encode(), digest).digest()))


def hash_instead_of_a_signature(rng: Random, valid: str) -> str:
    code = Code.of(valid)
    message = rng.choice([code.signed.encode(), code.payload, str(code).encode()])
    return str(Code(code.kid, code.payload, hashlib.sha512(message).digest()))


def other_base(rng: Random, valid: str) -> str:
    """The same bytes in another encoding: base64, base85, hexadecimal, or base32 with another alphabet."""
    code = Code.of(valid)
    write = rng.choice(BASES)
    parts = [write(each).decode() for each in (code.payload, code.signature)]
    parts = [part.rstrip("=") for part in parts] if rng.random() < 0.5 else parts
    return ".".join(["TK1", code.kid, *parts])


def other_case(rng: Random, valid: str) -> str:
    places = {place for place, each in enumerate(valid) if each.isalpha() and rng.random() < 0.2}
    places = places or {0}
    return "".join(each.lower() if place in places else each for place, each in enumerate(valid))


def spare_bits(rng: Random, valid: str) -> str:
    """The last character of a signature has three unused bits: another text for the same bytes."""
    return valid[:-1] + ALPHABET[ALPHABET.index(valid[-1]) ^ rng.randint(1, 7)]


def with_padding(rng: Random, valid: str) -> str:
    parts = valid.split(".")
    place = rng.randrange(1, 4)
    parts[place] += "=" * rng.randint(1, 8)
    return ".".join(parts)


def with_an_invisible_character(rng: Random, valid: str) -> str:
    place = rng.randint(0, len(valid))
    return valid[:place] + rng.choice(INVISIBLE) + valid[place:]


def with_a_lookalike(rng: Random, valid: str) -> str:
    places = [place for place, each in enumerate(valid) if each in LOOKALIKES]
    place = rng.choice(places)
    wide = chr(ord(valid[place]) + 0xFEE0)
    return valid[:place] + rng.choice([*LOOKALIKES[valid[place]], wide]) + valid[place + 1 :]


def cut(rng: Random, valid: str) -> str:
    start, end = sorted(rng.sample(range(len(valid) + 1), 2))
    return rng.choice([valid[:start], valid[end:], valid[:start] + valid[end:]])


def extended(rng: Random, valid: str) -> str:
    more = rng.choice([".", ".A", valid, "\n" + valid, "," + valid, "A" * rng.randint(1, 300), ".none", "#", "?a=b"])
    return rng.choice([valid + more, more + valid])


def parts_in_another_order(rng: Random, valid: str) -> str:
    parts = valid.split(".")
    while (turned := rng.sample(parts, rng.randint(0, 4))) == parts:
        pass
    return ".".join(turned)


def other_prefix(rng: Random, valid: str) -> str:
    rest = valid.removeprefix("TK1")
    return rng.choice(["TK2", "TK0", "tk1", "TK", "", "TK1.TK1", "TK01", "TK1 ", "TKl", "T\u212a1"]) + rest


def as_a_jwt(rng: Random, valid: str) -> str:
    header = base64.urlsafe_b64encode(rng.choice([b'{"alg":"none"}', b'{"alg":"EdDSA","typ":"JWT"}'])).decode()
    return ".".join([header, valid.split(".")[2], rng.choice(["", valid.split(".")[3]])])


KINDS: tuple[Callable[[Random, str], str], ...] = (
    other_character,
    other_ticket,
    other_version,
    other_signature,
    noncanonical_scalar,
    negated_scalar,
    small_order_point,
    empty_signature,
    signed_with_another_key,
    with_an_unknown_key,
    other_key_id,
    key_used_as_an_hmac_secret,
    hash_instead_of_a_signature,
    other_base,
    other_case,
    spare_bits,
    with_padding,
    with_an_invisible_character,
    with_a_lookalike,
    cut,
    extended,
    parts_in_another_order,
    other_prefix,
    as_a_jwt,
)
