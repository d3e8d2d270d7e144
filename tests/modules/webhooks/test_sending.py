"""One try over real sockets, against every kind of other side: slow, endless, broken, inside, or under a wrong name."""

import asyncio
import datetime
import ssl
import time
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.modules.webhooks.receiver import Receiver, answer, receiving
from tests.support.time_limits import PATIENCE_SECONDS
from ticketing.modules.webhooks import CheckedBackend, Sender
from ticketing.modules.webhooks.delivery import sender as sending
from ticketing.modules.webhooks.delivery.sender import Answer, headers_of

BODY = '{"type":"wall.painted"}'


def headers() -> dict[str, str]:
    return headers_of(uuid4(), datetime.datetime.now(datetime.UTC), BODY, [b"s" * 32])


async def send(sender: Sender, url: str) -> Answer:
    return await sender.send(url, headers(), BODY)


async def test_whoever_hangs_is_left_when_the_time_is_up(
    receiver: Receiver, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "TRY_SECONDS", 0.5)

    async def hang(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(300)

    async def drip_head(writer: asyncio.StreamWriter) -> None:
        for letter in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000:
            writer.write(bytes([letter]))
            await writer.drain()
            await asyncio.sleep(0.05)

    for slow in (hang, drip_head):
        receiver.answers = [slow]
        begun = time.monotonic()
        found = await send(sender, receiver.url)
        assert (found.status_code, found.error) == (None, "timed_out")
        assert time.monotonic() - begun < PATIENCE_SECONDS


async def test_an_answer_without_end_is_read_as_far_as_anybody_wants_to_know(
    receiver: Receiver, sender: Sender
) -> None:
    written = 0

    async def talk(writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"y" * 65536)
            await writer.drain()
            written += 65536

    receiver.answers = [talk]
    found = await send(sender, receiver.url)
    assert found.is_success
    assert found.snippet == "y" * sending.SNIPPET_CHARACTERS
    await asyncio.sleep(0.2)
    assert written < 50_000_000


async def test_who_answers_and_then_drips_has_answered(
    receiver: Receiver, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SNIPPET_SECONDS", 0.3)

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"z")
            await writer.drain()
            await asyncio.sleep(0.05)

    receiver.answers = [drip]
    found = await send(sender, receiver.url)
    assert found.is_success


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "no_http"),
        (b"", "no_http"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"h" * 200_000, "no_http"),
    ],
)
async def test_what_is_no_answer_is_named(receiver: Receiver, sender: Sender, said: bytes, error: str) -> None:
    receiver.answers = [said]
    found = await send(sender, receiver.url)
    assert (found.status_code, found.error) == (None, error)


async def test_nobody_there_is_named(sender: Sender) -> None:
    async with receiving() as closed:
        url = closed.url
    assert (await send(sender, url)).error == "connection_failed"
    assert (await send(sender, "http://no.such.name.invalid/")).error == "name_unknown"


async def test_by_default_the_inside_is_not_dialled_however_it_is_spelt(receiver: Receiver) -> None:
    sender = Sender(CheckedBackend(allow_private=False))
    port = receiver.port
    for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0", "[::1]", "[::ffff:127.0.0.1]"):
        found = await send(sender, f"http://{host}:{port}/hooks")
        assert found.error in ("address_refused", "name_unknown"), f"{host}: {found}"
    await sender.close()
    assert receiver.told == []


async def test_a_name_is_resolved_once_and_dialled_where_it_was_checked(receiver: Receiver) -> None:
    """A name that leads outside when it is asked first, and inside when it is asked again."""
    asked = []

    async def rebind(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["192.0.2.1"] if len(asked) % 2 else ["127.0.0.1"]

    async def mixed(host: str, port: int) -> list[str]:
        return ["1.1.1.1", "127.0.0.1"]

    sender = Sender(CheckedBackend(allow_private=True, resolve=rebind))
    begun = asyncio.create_task(send(sender, f"http://rebind.example:{receiver.port}/"))
    await asyncio.wait({begun}, timeout=1)
    begun.cancel()
    await asyncio.gather(begun, return_exceptions=True)
    assert asked == ["rebind.example"]
    assert receiver.told == [], "it went to where the only look-up led, and nowhere else"
    await send(sender, f"http://rebind.example:{receiver.port}/")
    assert len(receiver.told) == 1
    assert receiver.told[0].headers["host"] == f"rebind.example:{receiver.port}"
    await sender.close()
    strict = Sender(CheckedBackend(allow_private=False, resolve=mixed))
    found = await send(strict, f"http://mixed.example:{receiver.port}/")
    assert found.error == "address_refused", "one address inside is one too many"
    await strict.close()


async def test_no_proxy_of_the_environment_is_asked(
    receiver: Receiver, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        fresh = Sender(CheckedBackend(allow_private=True))
        assert (await send(fresh, receiver.url)).is_success
        await fresh.close()
        assert proxy.told == []


async def test_a_certificate_is_verified_for_the_name_though_an_address_is_dialled(tmp_path: Path) -> None:
    server, client = certified(tmp_path, "hooks.example")

    async def home(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    async with receiving(server) as receiver:
        sender = Sender(CheckedBackend(allow_private=True, resolve=home), client)
        found = await send(sender, f"https://hooks.example:{receiver.port}/in")
        assert found.is_success, found
        assert receiver.told[0].headers["host"] == f"hooks.example:{receiver.port}"
        other = await send(sender, f"https://other.example:{receiver.port}/in")
        by_address = await send(sender, f"https://127.0.0.1:{receiver.port}/in")
        assert (other.error, by_address.error) == ("tls_failed", "tls_failed")
        await sender.close()
        stranger = Sender(CheckedBackend(allow_private=True, resolve=home))
        assert (await send(stranger, f"https://hooks.example:{receiver.port}/in")).error == "tls_failed"
        await stranger.close()
        assert len(receiver.told) == 1


def certified(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server that has a certificate for this name, and a client that trusts whoever gave it."""
    key, subject = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(private + pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "both.pem")
    return server, ssl.create_default_context(cadata=pem.decode())


async def test_status_and_words_of_an_answer_are_kept_as_a_database_can_keep_them(
    receiver: Receiver, sender: Sender
) -> None:
    receiver.answers = [answer(500, b"\x00\xff\xfe<script>\xed\xa0\x80" + b"w" * 5000)]
    found = await send(sender, receiver.url)
    assert found.status_code == 500
    assert "\0" not in found.snippet
    assert "\ud800" not in found.snippet
    assert "<script>" in found.snippet
    assert len(found.snippet) == sending.SNIPPET_CHARACTERS
