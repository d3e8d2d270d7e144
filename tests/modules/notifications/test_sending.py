"""Sending an email over SMTP: each kind of failure is retried, counted as a failed try, or recorded as refused."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.modules.notifications.smtp_server import SmtpServer, body_of, open_smtp_server
from tests.support.silent_server import silent_server
from ticketing.infra import mail, metrics
from ticketing.infra.bus import Retry
from ticketing.infra.mail import EmailDeferred, OutgoingEmail, SmtpMailer

SENDER = "Tickets <post@tickets.test>"
EMAIL_ID = UUID("01910000-0000-7000-8000-000000000001")


def email(to: str = "ada@example.com", subject: str = "Hello", text: str = "Words") -> OutgoingEmail:
    return OutgoingEmail("test", to, subject, text, f"<p>{text}</p>")


def outcomes(outcome: str) -> float:
    return metrics.REGISTRY.get_sample_value("ticketing_letters_total", {"kind": "test", "outcome": outcome}) or 0.0


async def send(smtp: SmtpServer, what: OutgoingEmail | None = None) -> None:
    await SmtpMailer(smtp.url, SENDER).send(what or email(), EMAIL_ID)


async def test_an_email_arrives_unchanged(smtp: SmtpServer) -> None:
    before = outcomes("sent")
    await send(smtp, email(subject="Grüße 🎫", text="Ünïcode\nand lines"))
    [arrived], [envelope] = smtp.emails, smtp.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("post@tickets.test", ["ada@example.com"])
    assert (arrived["From"], arrived["To"], arrived["Subject"]) == (SENDER, "ada@example.com", "Grüße 🎫")
    assert body_of(arrived) == "Ünïcode\nand lines\n"
    assert body_of(arrived, "html").startswith("<p>Ünïcode")
    assert arrived["Message-ID"] == f"<{EMAIL_ID}@tickets.test>"
    assert arrived["Auto-Submitted"] == "auto-generated"
    assert abs(arrived["Date"].datetime - datetime.now(UTC)) < timedelta(minutes=1)
    assert outcomes("sent") == before + 1


@pytest.mark.parametrize("breaks", ["\r\nBcc: eve@example.com", "\nX: y", "\r", "\u2028Bcc: x", "\x85", "\x0b", "\x00"])
async def test_a_title_cannot_inject_headers(smtp: SmtpServer, breaks: str) -> None:
    await send(smtp, email(subject=f"Show{breaks}"))
    [arrived], [envelope] = smtp.emails, smtp.envelopes
    assert envelope.rcpt_tos == ["ada@example.com"]
    assert not {"Bcc", "X"} & set(arrived.keys())
    assert arrived["Subject"].startswith("Show")


@pytest.mark.parametrize("to", ["a@example.com\r\nRCPT TO:<eve@example.com>", "a@example.com, eve@example.com"])
async def test_an_address_cannot_inject_a_second_recipient(smtp: SmtpServer, to: str) -> None:
    before = outcomes("refused")
    await send(smtp, email(to=to))
    assert smtp.envelopes == []
    assert outcomes("refused") == before + 1


@pytest.mark.parametrize(
    ("to", "as_sent"),
    [("ada@bücher.example", "ada@xn--bcher-kva.example"), ("jörg@bücher.example", "jörg@bücher.example")],
)
async def test_internationalized_addresses_are_reached(smtp: SmtpServer, to: str, as_sent: str) -> None:
    await send(smtp, email(to=to))
    assert smtp.envelopes[0].rcpt_tos == [as_sent]


async def test_an_address_that_the_server_does_not_support_is_refused() -> None:
    before = outcomes("refused")
    async with open_smtp_server(enable_SMTPUTF8=False) as smtp:
        await send(smtp, email(to="jörg@example.com"))
        assert smtp.envelopes == []
    assert outcomes("refused") == before + 1


@pytest.mark.parametrize("step", ["at_recipient", "at_data"])
async def test_a_permanently_refused_email_is_recorded_and_not_retried(
    smtp: SmtpServer, step: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    before = outcomes("refused")
    getattr(smtp, step).append("550 no such user: ada@example.com")
    await send(smtp)
    assert (smtp.tries, smtp.emails) == (1, [])
    assert outcomes("refused") == before + 1
    ours = [record.getMessage() for record in caplog.records if record.name != "mail.log"]
    logged = "\n".join([*capsys.readouterr(), *ours])
    assert "letter_refused" in logged
    assert "550" in logged
    assert "ada@" not in logged


@pytest.mark.parametrize("step", ["at_recipient", "at_data"])
async def test_a_temporarily_refused_email_is_a_failed_try(smtp: SmtpServer, step: str) -> None:
    getattr(smtp, step).append("451 later, ada@example.com")
    with pytest.raises(EmailDeferred) as deferred:
        await send(smtp)
    assert str(deferred.value) == "451", "without the server's reply, which contains the address"
    assert deferred.value.__suppress_context__
    await send(smtp)
    assert len(smtp.emails) == 1


@pytest.mark.parametrize(
    ("step", "answer"),
    [
        ("at_sender", "451 not now"),
        ("at_sender", "550 not you"),
        ("at_recipient", "421 closing"),
        ("at_data", "421 closing"),
    ],
)
async def test_a_misconfigured_or_closing_server_is_retried(smtp: SmtpServer, step: str, answer: str) -> None:
    getattr(smtp, step).append(answer)
    with pytest.raises(Retry):
        await send(smtp)
    await send(smtp)
    assert len(smtp.emails) == 1


async def test_an_unreachable_server_is_retried() -> None:
    before = outcomes("waits")
    async with open_smtp_server() as smtp:
        pass
    with pytest.raises(Retry):
        await send(smtp)
    assert outcomes("waits") == before + 1


@pytest.fixture
async def silent() -> AsyncIterator[SmtpServer]:
    async with silent_server() as port:
        yield SmtpServer(port=port)


async def test_a_server_that_hangs_runs_into_the_timeout(silent: SmtpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "COMMAND_SECONDS", 0.2)
    async with asyncio.timeout(60):
        with pytest.raises(Retry):
            await send(silent)


async def test_a_server_that_takes_long_to_accept_gets_the_email_once(
    smtp: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("COMMAND_SECONDS", "ENVELOPE_SECONDS"):
        monkeypatch.setattr(mail, limit, 0.5)
    smtp.before_reply = partial(asyncio.sleep, 1.5)
    await send(smtp)
    assert len(smtp.emails) == 1


async def test_a_server_that_accepts_and_never_replies_gets_the_email_again_under_the_same_id(
    smtp: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "TEXT_SECONDS", 0.2)
    smtp.before_reply = partial(asyncio.sleep, 2)
    with pytest.raises(Retry):
        await send(smtp)
    smtp.before_reply = None
    await send(smtp)
    assert [email["Message-ID"] for email in smtp.emails] == 2 * [f"<{EMAIL_ID}@tickets.test>"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key."""
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
    """The server's TLS context. The client trusts its certificate by SSL_CERT_FILE, as an operator would set it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


def _with(smtp: SmtpServer, scheme: str, user: str = "") -> SmtpMailer:
    return SmtpMailer(f"{scheme}://{user}127.0.0.1:{smtp.port}", SENDER)


async def test_starttls_is_used_when_offered_and_before_the_login(tls: ssl.SSLContext) -> None:
    async with open_smtp_server(tls_context=tls) as smtp:
        await _with(smtp, "smtp", "post:p%40ss%2Fword@").send(email(), EMAIL_ID)
        await _with(smtp, "smtp").send(email(), EMAIL_ID)
        assert smtp.logins == [("post", "p@ss/word", True)]
        assert len(smtp.emails) == 2


async def test_tls_from_the_first_byte(tls: ssl.SSLContext) -> None:
    async with open_smtp_server(tls, auth_require_tls=False) as smtp:
        await _with(smtp, "smtps", "post:p%40ss%2Fword@").send(email(), EMAIL_ID)
        assert len(smtp.emails) == 1


async def test_a_password_is_never_sent_unencrypted() -> None:
    async with open_smtp_server(auth_require_tls=False) as smtp:
        with pytest.raises(Retry):
            await _with(smtp, "smtp", "post:p%40ss%2Fword@").send(email(), EMAIL_ID)
        assert (smtp.logins, smtp.emails) == ([], [])


@pytest.mark.parametrize("user", ["", "post:p%40ss%2Fword@"])
async def test_a_server_with_an_untrusted_certificate_gets_no_email(
    tls: ssl.SSLContext, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    async with open_smtp_server(tls_context=tls) as smtp:
        with pytest.raises(Retry):
            await _with(smtp, "smtp", user).send(email(), EMAIL_ID)
        assert (smtp.logins, smtp.emails) == ([], [])


async def test_a_wrong_smtp_password_is_retried(tls: ssl.SSLContext) -> None:
    async with open_smtp_server(tls_context=tls) as smtp:
        with pytest.raises(Retry):
            await _with(smtp, "smtp", "post:wrong@").send(email(), EMAIL_ID)
        assert smtp.emails == []


async def test_without_a_server_emails_are_printed_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    await mail.TerminalMailer().send(
        email(subject="Two\nlines", text="https://tickets.test/account/verify#abc"), EMAIL_ID
    )
    printed = capsys.readouterr().out
    assert "To: ada@example.com\nSubject: Two lines\n\nhttps://tickets.test/account/verify#abc\n" in printed
