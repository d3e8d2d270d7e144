"""The code of a ticket: a signed token that a door can check without asking anybody.

    TK1.<key id>.<payload>.<signature>

Each part is base32 without padding. The payload is 35 bytes: one format byte, 16 of the ticket's id, 16 of the event's
id, two of the code's version (big-endian). The signature is Ed25519 over the ASCII text before its own dot.

Why base32 and not base64url: a QR code packs A-Z, 2-7 and "." in its alphanumeric mode, at 5.5 bits a character, so the
173 characters need 45 x 45 modules at error level M; 136 characters of base64url need byte mode and 53 x 53. Base45
would be no smaller in modules, but has blanks, "%" and "/", which do not survive mail, addresses and double clicks.

A ticket has exactly one code: lower case, padding and spare bits that are not zero are refused, so that two different
texts never mean the same ticket. Ed25519 is deterministic; nothing is stored but the version.
"""

import base64
import hashlib
import struct
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ticketing.infra.config import get_settings
from ticketing.infra.errors import TicketingError, Unavailable

PREFIX = "TK1"
CODE_LENGTH_MAX = 200
"""Longer than any code; what a request may carry."""

_PAYLOAD = struct.Struct(">B16s16sH")
_FORMAT = 1
_KEY_ID_BYTES = 5


class InvalidCode(TicketingError):
    """This code is not one of our tickets."""

    status, code = 422, "invalid_code"


class SigningKeyMissing(Unavailable):
    """Tickets can't be signed here: set TICKET_SIGNING_KEY."""


@dataclass(frozen=True, slots=True)
class CodeClaims:
    """What a code says, once its signature is good."""

    ticket_id: UUID
    event_id: UUID
    version: int


class Keyring:
    """The keys that sign and verify. The first one signs; all of them verify, so that keys can be changed."""

    def __init__(self, seeds: list[bytes]) -> None:
        keys = [Ed25519PrivateKey.from_private_bytes(seed) for seed in seeds]
        self._signing_key, self._signing_id = keys[0], key_id(keys[0].public_key())
        self._public_keys = {key_id(key.public_key()): key.public_key() for key in keys}

    def sign(self, claims: CodeClaims) -> str:
        """The one code of this ticket in this version."""
        payload = _PAYLOAD.pack(_FORMAT, claims.ticket_id.bytes, claims.event_id.bytes, claims.version)
        signed = f"{PREFIX}.{self._signing_id}.{_encode(payload)}"
        return f"{signed}.{_encode(self._signing_key.sign(signed.encode()))}"

    def read(self, code: str) -> CodeClaims:
        """What a code says. Raises InvalidCode unless it is, letter for letter, something that we signed."""
        signed, _, signature = code.rpartition(".")
        prefix, *parts = signed.split(".")
        if prefix != PREFIX or len(parts) != 2 or parts[0] not in self._public_keys:
            raise InvalidCode(field="code")
        try:
            self._public_keys[parts[0]].verify(_decode(signature), signed.encode())
            form, ticket, event, version = _PAYLOAD.unpack(_decode(parts[1]))
        except (InvalidSignature, ValueError, struct.error):
            raise InvalidCode(field="code") from None
        if form != _FORMAT:
            raise InvalidCode(field="code")
        return CodeClaims(UUID(bytes=ticket), UUID(bytes=event), version)

    def as_jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys as RFC 8037 writes them, for scanners that work without a network."""
        return {"keys": [_as_jwk(kid, key) for kid, key in self._public_keys.items()]}


def keyring() -> Keyring:
    """The keys of TICKET_SIGNING_KEY. Raises SigningKeyMissing."""
    return _keyring(get_settings().ticket_signing_key.get_secret_value())


@lru_cache(maxsize=4)
def _keyring(seeds: str) -> Keyring:
    parts = [base64.b64decode(seed) for seed in seeds.split(",") if seed]
    if not parts:
        raise SigningKeyMissing
    return Keyring(parts)


def key_id(key: Ed25519PublicKey) -> str:
    """The first 40 bits of the public key's SHA-256: eight characters, without padding by nature."""
    return _encode(hashlib.sha256(_raw(key)).digest()[:_KEY_ID_BYTES])


def _as_jwk(kid: str, key: Ed25519PublicKey) -> dict[str, str]:
    x = base64.urlsafe_b64encode(_raw(key)).decode().rstrip("=")
    return {"kid": kid, "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "x": x}


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _encode(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=")


def _decode(text: str) -> bytes:
    """Raises ValueError, also for a spelling that we would not have written ourselves."""
    raw = base64.b32decode(text + "=" * (-len(text) % 8))
    if _encode(raw) != text:
        raise ValueError("not canonical")
    return raw
