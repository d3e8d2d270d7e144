"""The arithmetic of second factors: secrets, the six digits of the moment, and recovery codes. It knows no database."""

import base64
import hmac
import io
import secrets

import segno
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from ticketing.infra import security

#: What every authenticator app understands (RFC 6238): 160 bits, SHA-1, six digits, half a minute.
SECRET_BYTES = 20
DIGITS = 6
STEP_SECONDS = 30
#: A phone's clock may be so many steps off, and a person needs some seconds to type (RFC 6238 §5.2).
SKEW_STEPS = 1

RECOVERY_CODES = 10
#: 120 bits: a plain hash of it can't be searched (ASVS 5.0 6.5.2 asks for 112).
RECOVERY_CODE_BYTES = 15

ISSUER = "Ticketing"


def new_secret() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


def as_text(secret: bytes) -> str:
    """How a person types it into an app that has no camera: base32, 32 characters."""
    return base64.b32encode(secret).decode()


def otpauth_uri(secret: bytes, account: str) -> str:
    return _totp(secret).get_provisioning_uri(account, ISSUER)


def qr_svg(uri: str) -> str:
    """A drawing of the address for an app's camera, without a style that a content security policy would refuse."""
    out = io.BytesIO()
    code = segno.make_qr(uri, error="m")
    look = {"border": 4, "dark": "#000", "light": "#fff", "svgclass": None, "lineclass": None}
    code.save(out, kind="svg", omitsize=True, xmldecl=False, **look)
    return out.getvalue().decode()


def find_step(secret: bytes, digits: str, at_seconds: float) -> int | None:
    """The time step that these digits belong to, among those that count at this moment; None when they are wrong."""
    now, found = int(at_seconds // STEP_SECONDS), None
    for step in range(now - SKEW_STEPS, now + SKEW_STEPS + 1):
        if hmac.compare_digest(_totp(secret).generate(step * STEP_SECONDS), digits.encode()):
            found = step
    return found


def is_digits(code: str) -> bool:
    """Whether somebody typed the digits of the moment, and not a recovery code."""
    return len(code) == DIGITS and code.isascii() and code.isdigit()


def normalize(code: str) -> str:
    """Without the spaces and dashes that make a code easier to read."""
    return "".join(code.split()).replace("-", "").upper()


def new_recovery_codes() -> list[str]:
    """Ten codes of four groups of six letters and digits."""
    codes = [base64.b32encode(secrets.token_bytes(RECOVERY_CODE_BYTES)).decode() for _ in range(RECOVERY_CODES)]
    return ["-".join(code[n : n + 6] for n in range(0, len(code), 6)) for code in codes]


def recovery_hash(code: str) -> str:
    return security.fingerprint(normalize(code))


def _totp(secret: bytes) -> TOTP:
    return TOTP(secret, DIGITS, SHA1(), STEP_SECONDS)  # noqa: S303 (HMAC-SHA-1 is what the apps speak, and is unbroken)
