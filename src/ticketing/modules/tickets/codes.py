"""The code of a ticket: a signed token that a scanner can verify offline.

    TK1.<key id>.<payload>.<signature>

Each part is base32 without padding. The payload is 35 bytes: one format byte, 16 of the ticket's id, 16 of the event's
id, two of the code's version (big-endian). The signature is Ed25519 over the ASCII text before its own dot.

Why base32 and not base64url: a QR code packs A-Z, 2-7 and "." in its alphanumeric mode, at 5.5 bits a character, so the
173 characters need 45 x 45 modules at error level M; 136 characters of base64url need byte mode and 53 x 53. Base45
would need as many modules, and has blanks, "%" and "/", which break in emails, URLs and selection by double click.

A ticket has exactly one code: lower case, padding and non-zero spare bits are rejected, so that no two different
strings denote the same ticket. Ed25519 is deterministic, so only the version is stored.
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
#: Upper limit for requests. A code has 173 characters.
CODE_LENGTH_MAX = 200

#: Codes kept per process, about 10 MB: a signature costs as much as the rest of a ticket's response, and never changes.
CODES_MAX = 20_000

_PAYLOAD = struct.Struct(">B16s16sH")
_FORMAT = 1
_KEY_ID_BYTES = 5


class InvalidCode(TicketingError):
    """This code is not a valid ticket."""

    status, code = 422, "invalid_code"


class SigningKeyMissing(Unavailable):
    """Tickets cannot be signed: TICKET_SIGNING_KEY is not set."""


@dataclass(frozen=True, slots=True)
class CodeClaims:
    """The content of a verified code."""

    ticket_id: UUID
    event_id: UUID
    version: int


class Keyring:
    """Signing keys. The first key signs and all keys verify, which allows key rotation."""

    def __init__(self, seeds: list[bytes]) -> None:
        keys = [Ed25519PrivateKey.from_private_bytes(seed) for seed in seeds]
        self._signing_key, self._signing_id = keys[0], key_id(keys[0].public_key())
        self._public_keys = {key_id(key.public_key()): key.public_key() for key in keys}

    def sign(self, claims: CodeClaims) -> str:
        """Return the code of this ticket and version. It is always the same."""
        payload = _PAYLOAD.pack(_FORMAT, claims.ticket_id.bytes, claims.event_id.bytes, claims.version)
        signed = f"{PREFIX}.{self._signing_id}.{_encode(payload)}"
        return f"{signed}.{_encode(self._signing_key.sign(signed.encode()))}"

    def read(self, code: str) -> CodeClaims:
        """Verify a code and return its content. Raises InvalidCode unless it is byte for byte a signed code."""
        signed, _, signature = code.rpartition(".")
        prefix, *parts = signed.split(".")
        if prefix != PREFIX or len(parts) != 2 or parts[0] not in self._public_keys:
            raise InvalidCode(field="code")
        try:
            self._public_keys[parts[0]].verify(_decode(signature), signed.encode())
            format_byte, ticket, event, version = _PAYLOAD.unpack(_decode(parts[1]))
        except (InvalidSignature, ValueError, struct.error):
            raise InvalidCode(field="code") from None
        if format_byte != _FORMAT:
            raise InvalidCode(field="code")
        return CodeClaims(UUID(bytes=ticket), UUID(bytes=event), version)

    def as_jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the public keys as a JWK set (RFC 8037), for scanners that work offline."""
        return {"keys": [_as_jwk(kid, key) for kid, key in self._public_keys.items()]}


def keyring() -> Keyring:
    """Return the keys of TICKET_SIGNING_KEY. Raises SigningKeyMissing."""
    return _keyring(get_settings().ticket_signing_key.get_secret_value())


def code_of(ticket_id: UUID, event_id: UUID, version: int) -> str:
    """Return the present code of a ticket. A transfer increments its version."""
    return _signed(keyring(), ticket_id, event_id, version)


@lru_cache(maxsize=CODES_MAX)
def _signed(keyring: Keyring, ticket_id: UUID, event_id: UUID, version: int) -> str:
    return keyring.sign(CodeClaims(ticket_id, event_id, version))


@lru_cache(maxsize=4)
def _keyring(seeds: str) -> Keyring:
    parts = [base64.b64decode(seed) for seed in seeds.split(",") if seed]
    if not parts:
        raise SigningKeyMissing
    return Keyring(parts)


def key_id(key: Ed25519PublicKey) -> str:
    """Return the first 40 bits of the public key's SHA-256 as eight base32 characters, which need no padding."""
    return _encode(hashlib.sha256(_raw(key)).digest()[:_KEY_ID_BYTES])


def _as_jwk(kid: str, key: Ed25519PublicKey) -> dict[str, str]:
    x = base64.urlsafe_b64encode(_raw(key)).decode().rstrip("=")
    return {"kid": kid, "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "x": x}


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _encode(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=")


def _decode(text: str) -> bytes:
    """Raise ValueError for invalid base32 and for any encoding that is not canonical."""
    raw = base64.b32decode(text + "=" * (-len(text) % 8))
    if _encode(raw) != text:
        raise ValueError("not canonical")
    return raw
