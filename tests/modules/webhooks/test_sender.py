"""Delivery attempts over real sockets to slow, endless, broken, private and misnamed receivers."""

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

from tests.modules.webhooks.receiver import Receiver, http_response, start_receiver
from tests.support.time_limits import PATIENCE_SECONDS
from ticketing.modules.webhooks import Sender, SsrfGuard
from ticketing.modules.webhooks.delivery import sender as sending
from ticketing.modules.webhooks.delivery.sender import SendResult, headers_of

BODY = '{"type":"wall.painted"}'


def headers() -> dict[str, str]:
    return headers_of(uuid4(), datetime.datetime.now(datetime.UTC), BODY, [b"s" * 32])


async def send(sender: Sender, url: str) -> SendResult:
    return await sender.send(url, headers(), BODY)


async def test_a_receiver_that_hangs_times_out(
    receiver: Receiver, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "ATTEMPT_SECONDS", 0.5)

    async def hang(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(300)

    async def drip_head(writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.05)

    for slow in (hang, drip_head):
        receiver.responses = [slow]
        started = time.monotonic()
        found = await send(sender, receiver.url)
        assert (found.status_code, found.error) == (None, "timed_out")
        assert time.monotonic() - started < PATIENCE_SECONDS


async def test_an_endless_response_is_read_to_a_limit(receiver: Receiver, sender: Sender) -> None:
    written = 0

    async def send_endless(writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"y" * 65536)
            await writer.drain()
            written += 65536

    receiver.responses = [send_endless]
    found = await send(sender, receiver.url)
    assert found.is_success
    assert found.snippet == "y" * sending.SNIPPET_CHARACTERS
    await asyncio.sleep(0.2)
    assert written < 50_000_000


async def test_a_slow_body_does_not_change_the_status(
    receiver: Receiver, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SNIPPET_SECONDS", 0.3)

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"z")
            await writer.drain()
            await asyncio.sleep(0.05)

    receiver.responses = [drip]
    found = await send(sender, receiver.url)
    assert found.is_success


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "no_http"),
        (b"", "no_http"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"h" * 200_000, "no_http"),
    ],
)
async def test_an_invalid_response_has_an_error_code(
    receiver: Receiver, sender: Sender, response: bytes, error: str
) -> None:
    receiver.responses = [response]
    found = await send(sender, receiver.url)
    assert (found.status_code, found.error) == (None, error)


async def test_an_unreachable_receiver_has_an_error_code(sender: Sender) -> None:
    async with start_receiver() as closed:
        url = closed.url
    assert (await send(sender, url)).error == "connection_failed"
    assert (await send(sender, "http://no.such.name.invalid/")).error == "name_unknown"


async def test_private_addresses_are_not_connected_to_however_they_are_spelled(receiver: Receiver) -> None:
    sender = Sender(SsrfGuard(allow_private=False))
    port = receiver.port
    for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0", "[::1]", "[::ffff:127.0.0.1]"):
        found = await send(sender, f"http://{host}:{port}/hooks")
        assert found.error in ("address_refused", "name_unknown"), f"{host}: {found}"
    await sender.close()
    assert receiver.requests == []


async def test_a_name_is_resolved_once_and_the_checked_address_is_connected_to(receiver: Receiver) -> None:
    """DNS rebinding: the first look-up returns a public address, the second a private one."""
    looked_up = []

    async def rebind(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return ["192.0.2.1"] if len(looked_up) % 2 else ["127.0.0.1"]

    async def mixed(host: str, port: int) -> list[str]:
        return ["1.1.1.1", "127.0.0.1"]

    sender = Sender(SsrfGuard(allow_private=True, resolve=rebind))
    started = asyncio.create_task(send(sender, f"http://rebind.example:{receiver.port}/"))
    await asyncio.wait({started}, timeout=1)
    started.cancel()
    await asyncio.gather(started, return_exceptions=True)
    assert looked_up == ["rebind.example"]
    assert receiver.requests == [], "it connects to the address of the only look-up"
    await send(sender, f"http://rebind.example:{receiver.port}/")
    assert len(receiver.requests) == 1
    assert receiver.requests[0].headers["host"] == f"rebind.example:{receiver.port}"
    await sender.close()
    strict = Sender(SsrfGuard(allow_private=False, resolve=mixed))
    found = await send(strict, f"http://mixed.example:{receiver.port}/")
    assert found.error == "address_refused", "one private address refuses the name"
    await strict.close()


async def test_proxies_of_the_environment_are_ignored(
    receiver: Receiver, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start_receiver() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        fresh = Sender(SsrfGuard(allow_private=True))
        assert (await send(fresh, receiver.url)).is_success
        await fresh.close()
        assert proxy.requests == []


async def test_the_certificate_is_verified_for_the_name_not_the_address(tmp_path: Path) -> None:
    server, client = create_tls_contexts(tmp_path, "hooks.example")

    async def resolve_to_loopback(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    async with start_receiver(server) as receiver:
        sender = Sender(SsrfGuard(allow_private=True, resolve=resolve_to_loopback), client)
        found = await send(sender, f"https://hooks.example:{receiver.port}/in")
        assert found.is_success, found
        assert receiver.requests[0].headers["host"] == f"hooks.example:{receiver.port}"
        other = await send(sender, f"https://other.example:{receiver.port}/in")
        by_address = await send(sender, f"https://127.0.0.1:{receiver.port}/in")
        assert (other.error, by_address.error) == ("tls_failed", "tls_failed")
        await sender.close()
        distrusting = Sender(SsrfGuard(allow_private=True, resolve=resolve_to_loopback))
        assert (await send(distrusting, f"https://hooks.example:{receiver.port}/in")).error == "tls_failed"
        await distrusting.close()
        assert len(receiver.requests) == 1


def create_tls_contexts(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The contexts of a server with a certificate for this name, and of a client that trusts its issuer."""
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


async def test_the_snippet_of_a_response_can_be_stored(receiver: Receiver, sender: Sender) -> None:
    receiver.responses = [http_response(500, b"\x00\xff\xfe<script>\xed\xa0\x80" + b"w" * 5000)]
    found = await send(sender, receiver.url)
    assert found.status_code == 500
    assert "\0" not in found.snippet
    assert "\ud800" not in found.snippet
    assert "<script>" in found.snippet
    assert len(found.snippet) == sending.SNIPPET_CHARACTERS
