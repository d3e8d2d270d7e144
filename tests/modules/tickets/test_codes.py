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
RING = Keyring([NEW])
CODE = RING.sign(CLAIMS)

claims = st.builds(CodeClaims, st.uuids(), st.uuids(), st.integers(0, 65_535))


@given(claims)
def test_a_code_says_what_was_signed_and_always_the_same(said: CodeClaims) -> None:
    code = RING.sign(said)
    assert RING.read(code) == said
    assert RING.sign(said) == code
    assert len(code) == 173 <= CODE_LENGTH_MAX


@given(claims, st.integers(0, 172), st.characters() | st.sampled_from(ALPHABET + ALPHABET.lower()))
def test_a_code_with_any_character_changed_opens_nothing(said: CodeClaims, place: int, other: str) -> None:
    code = RING.sign(said)
    changed = code[:place] + other + code[place + 1 :]
    if changed != code:
        with pytest.raises(InvalidCode):
            RING.read(changed)


@given(st.integers(0, 172), st.integers(0, 173), st.text(ALPHABET, max_size=3))
def test_a_code_that_was_cut_or_grew_opens_nothing(start: int, end: int, more: str) -> None:
    changed = CODE[:start] + more + CODE[end:]
    if changed != CODE:
        with pytest.raises(InvalidCode):
            RING.read(changed)


@given(st.text(max_size=CODE_LENGTH_MAX))
def test_no_text_that_we_did_not_sign_is_a_code(text: str) -> None:
    with pytest.raises(InvalidCode):
        RING.read(text)


def test_the_same_bytes_in_another_spelling_are_refused() -> None:
    # The last character of a signature carries two bits; the other three are spare, and must be zero.
    last = ALPHABET.index(CODE[-1])
    spellings = [CODE[:-1] + ALPHABET[last + spare] for spare in range(1, 8)]
    spellings += [CODE.lower(), CODE + "=", CODE + " ", CODE + "\n", " " + CODE, CODE.replace("TK1", "tk1")]
    for spelling in spellings:
        with pytest.raises(InvalidCode):
            RING.read(spelling)


def test_a_code_signed_with_another_key_is_refused() -> None:
    with pytest.raises(InvalidCode):
        RING.read(Keyring([FOREIGN]).sign(CLAIMS))


def test_a_signature_of_one_ticket_does_not_serve_another() -> None:
    other = RING.sign(CodeClaims(UUID(int=8), UUID(int=9), 1))
    with pytest.raises(InvalidCode):
        RING.read(CODE.rpartition(".")[0] + "." + other.rpartition(".")[2])


def test_after_a_change_of_keys_old_tickets_still_open_and_new_ones_are_signed_with_the_new_key() -> None:
    both = Keyring([NEW, OLD])
    assert both.read(Keyring([OLD]).sign(CLAIMS)) == CLAIMS
    assert both.sign(CLAIMS) == Keyring([NEW]).sign(CLAIMS)
    with pytest.raises(InvalidCode):
        Keyring([NEW]).read(Keyring([OLD]).sign(CLAIMS))


def test_the_published_keys_verify_a_code_without_any_of_our_code() -> None:
    published = {key["kid"]: key for key in Keyring([NEW, OLD]).as_jwks()["keys"]}
    signed, _, signature = CODE.rpartition(".")
    _, kid, payload = signed.split(".")
    key = published[kid]
    assert (key["kty"], key["crv"]) == ("OKP", "Ed25519")
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"] + "="))
    public.verify(base64.b32decode(signature + "=" * (-len(signature) % 8)), signed.encode())
    raw = base64.b32decode(payload)
    assert (raw[0], UUID(bytes=raw[1:17]), UUID(bytes=raw[17:33]), raw[33:]) == (1, UUID(int=7), UUID(int=9), b"\0\1")


def test_the_code_is_a_small_qr_code_of_alphanumeric_mode() -> None:
    qr = segno.make(Keyring([NEW]).sign(CodeClaims(uuid7(), uuid7(), 1)), error="m", boost_error=False)
    assert (qr.mode, qr.version) == ("alphanumeric", 7)
