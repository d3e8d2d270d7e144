"""Second-factor codes: secrets, TOTP and recovery codes, without database access."""

import base64
import hmac
import io
import secrets

import segno
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from ticketing.infra import security

#: The parameters that every authenticator app supports (RFC 6238): 160 bits, SHA-1, 6 digits, 30 s.
SECRET_BYTES = 20
DIGITS = 6
STEP_SECONDS = 30
#: Accepted steps before and after the current one, for clock skew and typing time (RFC 6238 §5.2).
SKEW_STEPS = 1

RECOVERY_CODES = 10
#: 120 bits, so that a plain hash cannot be searched (ASVS 5.0 6.5.2 requires 112).
RECOVERY_CODE_BYTES = 15

ISSUER = "Ticketing"


def new_secret() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


def as_text(secret: bytes) -> str:
    """Encode for manual entry: base32, 32 characters."""
    return base64.b32encode(secret).decode()


def otpauth_uri(secret: bytes, account: str) -> str:
    return _totp(secret).get_provisioning_uri(account, ISSUER)


def qr_svg(uri: str) -> str:
    """Draw the URI as an SVG QR code, without styles that a content security policy would block."""
    out = io.BytesIO()
    code = segno.make_qr(uri, error="m")
    look = {"border": 4, "dark": "#000", "light": "#fff", "svgclass": None, "lineclass": None}
    code.save(out, kind="svg", omitsize=True, xmldecl=False, **look)
    return out.getvalue().decode()


def find_step(secret: bytes, digits: str, at_seconds: float) -> int | None:
    """Return the accepted time step that these digits belong to; None when they are wrong."""
    now, found = int(at_seconds // STEP_SECONDS), None
    for step in range(now - SKEW_STEPS, now + SKEW_STEPS + 1):
        if hmac.compare_digest(_totp(secret).generate(step * STEP_SECONDS), digits.encode()):
            found = step
    return found


def is_digits(code: str) -> bool:
    """Whether this is a TOTP code and not a recovery code."""
    return len(code) == DIGITS and code.isascii() and code.isdigit()


def normalize(code: str) -> str:
    """Remove the spaces and dashes that make a code readable."""
    return "".join(code.split()).replace("-", "").upper()


def new_recovery_codes() -> list[str]:
    """Generate ten codes of four groups of six characters."""
    codes = [base64.b32encode(secrets.token_bytes(RECOVERY_CODE_BYTES)).decode() for _ in range(RECOVERY_CODES)]
    return ["-".join(code[n : n + 6] for n in range(0, len(code), 6)) for code in codes]


def recovery_hash(code: str) -> str:
    return security.fingerprint(normalize(code))


def _totp(secret: bytes) -> TOTP:
    return TOTP(secret, DIGITS, SHA1(), STEP_SECONDS)  # noqa: S303 (the apps support HMAC-SHA-1 only, and it is unbroken)
