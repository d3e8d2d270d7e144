"""A letter and a mail server, with all that can come between them. Whose fault it was decides what becomes of it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.modules.notifications.post_office import Box, open_post_office, words_of
from tests.support.silent_server import silent_server
from ticketing.infra import mail, metrics
from ticketing.infra.bus import Retry
from ticketing.infra.mail import Letter, LetterDeferred, PostOffice

SENDER = "Tickets <post@tickets.test>"
LETTER_ID = UUID("01910000-0000-7000-8000-000000000001")


def letter(to: str = "ada@example.com", subject: str = "Hello", text: str = "Words") -> Letter:
    return Letter("test", to, subject, text, f"<p>{text}</p>")


def outcomes(outcome: str) -> float:
    return metrics.REGISTRY.get_sample_value("ticketing_letters_total", {"kind": "test", "outcome": outcome}) or 0.0


async def send(box: Box, what: Letter | None = None) -> None:
    await PostOffice(box.url, SENDER).send(what or letter(), LETTER_ID)


async def test_a_letter_arrives_as_it_was_written(box: Box) -> None:
    before = outcomes("sent")
    await send(box, letter(subject="Grüße 🎫", text="Ünïcode\nand lines"))
    [arrived], [envelope] = box.letters, box.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("post@tickets.test", ["ada@example.com"])
    assert (arrived["From"], arrived["To"], arrived["Subject"]) == (SENDER, "ada@example.com", "Grüße 🎫")
    assert words_of(arrived) == "Ünïcode\nand lines\n"
    assert words_of(arrived, "html").startswith("<p>Ünïcode")
    assert arrived["Message-ID"] == f"<{LETTER_ID}@tickets.test>"
    assert arrived["Auto-Submitted"] == "auto-generated"
    assert abs(arrived["Date"].datetime - datetime.now(UTC)) < timedelta(minutes=1)
    assert outcomes("sent") == before + 1


@pytest.mark.parametrize("breaks", ["\r\nBcc: eve@example.com", "\nX: y", "\r", "\u2028Bcc: x", "\x85", "\x0b", "\x00"])
async def test_a_title_cannot_write_headers(box: Box, breaks: str) -> None:
    await send(box, letter(subject=f"Show{breaks}"))
    [arrived], [envelope] = box.letters, box.envelopes
    assert envelope.rcpt_tos == ["ada@example.com"]
    assert not {"Bcc", "X"} & set(arrived.keys())
    assert arrived["Subject"].startswith("Show")


@pytest.mark.parametrize("to", ["a@example.com\r\nRCPT TO:<eve@example.com>", "a@example.com, eve@example.com"])
async def test_an_address_cannot_become_two(box: Box, to: str) -> None:
    before = outcomes("refused")
    await send(box, letter(to=to))
    assert box.envelopes == []
    assert outcomes("refused") == before + 1


@pytest.mark.parametrize(
    ("to", "as_sent"),
    [("ada@bücher.example", "ada@xn--bcher-kva.example"), ("jörg@bücher.example", "jörg@bücher.example")],
)
async def test_addresses_in_other_letters_are_reached(box: Box, to: str, as_sent: str) -> None:
    await send(box, letter(to=to))
    assert box.envelopes[0].rcpt_tos == [as_sent]


async def test_a_server_without_such_letters_is_taken_at_its_word() -> None:
    before = outcomes("refused")
    async with open_post_office(enable_SMTPUTF8=False) as box:
        await send(box, letter(to="jörg@example.com"))
        assert box.envelopes == []
    assert outcomes("refused") == before + 1


@pytest.mark.parametrize("stage", ["at_recipient", "at_data"])
async def test_a_letter_that_is_refused_for_good_is_recorded_and_not_tried_again(
    box: Box, stage: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    before = outcomes("refused")
    getattr(box, stage).append("550 no such user: ada@example.com")
    await send(box)
    assert (box.tries, box.letters) == (1, [])
    assert outcomes("refused") == before + 1
    ours = [record.getMessage() for record in caplog.records if record.name != "mail.log"]
    told = "\n".join([*capsys.readouterr(), *ours])
    assert "letter_refused" in told
    assert "550" in told
    assert "ada@" not in told


@pytest.mark.parametrize("stage", ["at_recipient", "at_data"])
async def test_a_letter_that_is_refused_for_now_is_a_failed_try(box: Box, stage: str) -> None:
    getattr(box, stage).append("451 later, ada@example.com")
    with pytest.raises(LetterDeferred) as deferred:
        await send(box)
    assert str(deferred.value) == "451", "without the server's words, which name the address"
    assert deferred.value.__suppress_context__
    await send(box)
    assert len(box.letters) == 1


@pytest.mark.parametrize(
    ("stage", "answer"),
    [
        ("at_sender", "451 not now"),
        ("at_sender", "550 not you"),
        ("at_recipient", "421 closing"),
        ("at_data", "421 closing"),
    ],
)
async def test_a_server_that_is_not_in_order_is_waited_for(box: Box, stage: str, answer: str) -> None:
    getattr(box, stage).append(answer)
    with pytest.raises(Retry):
        await send(box)
    await send(box)
    assert len(box.letters) == 1


async def test_a_server_that_is_not_there_is_waited_for() -> None:
    before = outcomes("waits")
    async with open_post_office() as box:
        pass
    with pytest.raises(Retry):
        await send(box)
    assert outcomes("waits") == before + 1


@pytest.fixture
async def silent() -> AsyncIterator[Box]:
    async with silent_server() as port:
        yield Box(port=port)


async def test_a_server_that_hangs_does_not_hang_us(silent: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "COMMAND_SECONDS", 0.2)
    async with asyncio.timeout(60):
        with pytest.raises(Retry):
            await send(silent)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "post")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    )
    signed = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    path = tmp_path_factory.mktemp("tls") / "post.pem"
    plain = serialization.NoEncryption()
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(pem, pkcs8, plain) + signed.public_bytes(pem))
    return path


@pytest.fixture
def tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The server's side; ours trusts the certificate as an operator would make it: by SSL_CERT_FILE."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


def _with(box: Box, scheme: str, user: str = "") -> PostOffice:
    return PostOffice(f"{scheme}://{user}127.0.0.1:{box.port}", SENDER)


async def test_starttls_is_used_when_it_is_offered_and_then_the_log_in(tls: ssl.SSLContext) -> None:
    async with open_post_office(tls_context=tls) as box:
        await _with(box, "smtp", "post:p%40ss%2Fword@").send(letter(), LETTER_ID)
        await _with(box, "smtp").send(letter(), LETTER_ID)
        assert box.log_ins == [("post", "p@ss/word", True)]
        assert len(box.letters) == 2


async def test_tls_from_the_first_byte(tls: ssl.SSLContext) -> None:
    async with open_post_office(tls, auth_require_tls=False) as box:
        await _with(box, "smtps", "post:p%40ss%2Fword@").send(letter(), LETTER_ID)
        assert len(box.letters) == 1


async def test_a_password_is_never_sent_in_the_clear() -> None:
    async with open_post_office(auth_require_tls=False) as box:
        with pytest.raises(Retry):
            await _with(box, "smtp", "post:p%40ss%2Fword@").send(letter(), LETTER_ID)
        assert (box.log_ins, box.letters) == ([], [])


@pytest.mark.parametrize("user", ["", "post:p%40ss%2Fword@"])
async def test_a_server_that_cannot_show_who_it_is_gets_no_letter(
    tls: ssl.SSLContext, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    async with open_post_office(tls_context=tls) as box:
        with pytest.raises(Retry):
            await _with(box, "smtp", user).send(letter(), LETTER_ID)
        assert (box.log_ins, box.letters) == ([], [])


async def test_a_wrong_password_is_not_the_letters_fault(tls: ssl.SSLContext) -> None:
    async with open_post_office(tls_context=tls) as box:
        with pytest.raises(Retry):
            await _with(box, "smtp", "post:wrong@").send(letter(), LETTER_ID)
        assert box.letters == []


async def test_without_a_server_a_developer_reads_letters_in_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    await mail.Terminal().send(letter(subject="Two\nlines", text="https://tickets.test/account/verify#abc"), LETTER_ID)
    printed = capsys.readouterr().out
    assert "To: ada@example.com\nSubject: Two lines\n\nhttps://tickets.test/account/verify#abc\n" in printed
