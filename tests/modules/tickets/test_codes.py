"""Ticket codes: signed, canonical, and verifiable with the published keys."""

import base64
from uuid import UUID

import pytest
import segno
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from ticketing.modules.tickets.codes import CODE_LENGTH_MAX, CodeClaims, InvalidCode, Keyring

OLD, NEW, FOREIGN = b"o" * 32, b"n" * 32, b"f" * 32
CLAIMS = CodeClaims(UUID(int=7), UUID(int=9), 1)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567."
KEYRING = Keyring([NEW])
CODE = KEYRING.sign(CLAIMS)

any_claims = st.builds(CodeClaims, st.uuids(), st.uuids(), st.integers(0, 65_535))


@given(any_claims)
def test_a_code_reads_back_and_is_deterministic(claims: CodeClaims) -> None:
    code = KEYRING.sign(claims)
    assert KEYRING.read(code) == claims
    assert KEYRING.sign(claims) == code
    assert len(code) == 173 <= CODE_LENGTH_MAX


@given(any_claims, st.integers(0, 172), st.characters() | st.sampled_from(ALPHABET + ALPHABET.lower()))
def test_a_code_with_any_character_changed_is_invalid(claims: CodeClaims, position: int, other: str) -> None:
    code = KEYRING.sign(claims)
    changed = code[:position] + other + code[position + 1 :]
    if changed != code:
        with pytest.raises(InvalidCode):
            KEYRING.read(changed)


@given(st.integers(0, 172), st.integers(0, 173), st.text(ALPHABET, max_size=3))
def test_a_truncated_or_extended_code_is_invalid(start: int, end: int, inserted: str) -> None:
    changed = CODE[:start] + inserted + CODE[end:]
    if changed != CODE:
        with pytest.raises(InvalidCode):
            KEYRING.read(changed)


@given(st.text(max_size=CODE_LENGTH_MAX))
def test_arbitrary_text_is_not_a_code(text: str) -> None:
    with pytest.raises(InvalidCode):
        KEYRING.read(text)


def test_non_canonical_encodings_are_refused() -> None:
    # The last character of a signature carries two bits; the other three are spare, and must be zero.
    last = ALPHABET.index(CODE[-1])
    spellings = [CODE[:-1] + ALPHABET[last + spare] for spare in range(1, 8)]
    spellings += [CODE.lower(), CODE + "=", CODE + " ", CODE + "\n", " " + CODE, CODE.replace("TK1", "tk1")]
    for spelling in spellings:
        with pytest.raises(InvalidCode):
            KEYRING.read(spelling)


def test_a_code_signed_with_another_key_is_refused() -> None:
    with pytest.raises(InvalidCode):
        KEYRING.read(Keyring([FOREIGN]).sign(CLAIMS))


def test_a_signature_is_not_valid_for_another_ticket() -> None:
    other = KEYRING.sign(CodeClaims(UUID(int=8), UUID(int=9), 1))
    with pytest.raises(InvalidCode):
        KEYRING.read(CODE.rpartition(".")[0] + "." + other.rpartition(".")[2])


def test_after_key_rotation_old_codes_stay_valid_and_new_ones_use_the_new_key() -> None:
    both = Keyring([NEW, OLD])
    assert both.read(Keyring([OLD]).sign(CLAIMS)) == CLAIMS
    assert both.sign(CLAIMS) == Keyring([NEW]).sign(CLAIMS)
    with pytest.raises(InvalidCode):
        Keyring([NEW]).read(Keyring([OLD]).sign(CLAIMS))


def test_the_published_keys_verify_a_code_with_standard_libraries() -> None:
    published = {key["kid"]: key for key in Keyring([NEW, OLD]).as_jwks()["keys"]}
    signed, _, signature = CODE.rpartition(".")
    _, kid, payload = signed.split(".")
    key = published[kid]
    assert (key["kty"], key["crv"]) == ("OKP", "Ed25519")
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"] + "="))
    public.verify(base64.b32decode(signature + "=" * (-len(signature) % 8)), signed.encode())
    raw = base64.b32decode(payload)
    assert (raw[0], UUID(bytes=raw[1:17]), UUID(bytes=raw[17:33]), raw[33:]) == (1, UUID(int=7), UUID(int=9), b"\0\1")


def test_a_code_fits_a_version_7_alphanumeric_qr_code() -> None:
    qr = segno.make(Keyring([NEW]).sign(CodeClaims(uuid7(), uuid7(), 1)), error="m", boost_error=False)
    assert (qr.mode, qr.version) == ("alphanumeric", 7)
