"""Only configured proxies can report the address of a client."""

from collections.abc import AsyncIterator, Callable

import httpx2
import pytest
from fastapi import FastAPI, Request
from pydantic import ValidationError

from ticketing.infra.config import Settings
from ticketing.infra.config.trusted_proxies import client_of, parse_networks
from ticketing.main import create_app

BUYER, PROXY, BALANCER = "203.0.113.9", "10.0.0.5", "10.1.2.3"
TRUSTED = "10.0.0.5, 10.1.0.0/16, 2001:db8:aa::/48"


def client_seen(peer: str, *forwarded: str, trusted: str = TRUSTED) -> str:
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    client = client_of({"client": (peer, 1), "headers": headers}, parse_networks(trusted))
    assert client is not None
    return client[0]


def test_no_proxy_is_trusted_by_default() -> None:
    assert client_seen("127.0.0.1", BUYER, trusted="") == "127.0.0.1"
    assert Settings.model_fields["trusted_proxies"].default == ""


def test_an_untrusted_peer_is_ignored() -> None:
    assert client_seen("198.51.100.1", BUYER) == "198.51.100.1"


def test_a_trusted_proxy_is_believed() -> None:
    assert client_seen(PROXY, BUYER) == BUYER


def test_a_chain_of_two_trusted_proxies_is_followed() -> None:
    assert client_seen(PROXY, f"{BUYER}, {BALANCER}") == BUYER
    assert client_seen(PROXY, BUYER, BALANCER) == BUYER  # each proxy adds a header


def test_what_the_client_wrote_is_ignored() -> None:
    assert client_seen(PROXY, f"192.0.2.66, {BUYER}") == BUYER
    assert client_seen(PROXY, f"{BALANCER}, {BUYER}") == BUYER
    assert client_seen(PROXY, BALANCER, BUYER) == BUYER


@pytest.mark.parametrize("malformed", ["", "unknown", "x", "999.1.1.1", "_hidden", "1.2.3.4.5", "é"])
def test_a_malformed_address_ends_the_chain_at_the_hop_that_sent_it(malformed: str) -> None:
    assert client_seen(PROXY, malformed) == PROXY
    assert client_seen(PROXY, f"{malformed}, {BALANCER}") == BALANCER


def test_ports_and_brackets_are_removed() -> None:
    assert client_seen(PROXY, f"{BUYER}:55555") == BUYER
    assert client_seen(PROXY, "[2001:db8::7]:443") == "2001:db8::7"
    assert client_seen("::ffff:10.0.0.5", BUYER) == BUYER
    assert client_seen("2001:db8:aa::1", "2001:db8::7") == "2001:db8::7"


def test_a_socket_without_an_address_has_no_client() -> None:
    assert client_of({"client": None, "headers": []}, parse_networks(TRUSTED)) is None


@pytest.mark.parametrize("value", ["*", "10.0.0.0/33", "localhost", "0.0.0.0/0", "::/0", "10.0.0.1;10.0.0.2"])
def test_a_malformed_list_stops_the_start(value: str) -> None:
    with pytest.raises(ValidationError, match="addresses or CIDR blocks"):
        Settings(trusted_proxies=value)


@pytest.fixture
async def address_seen(settings: Settings) -> AsyncIterator[Callable[..., object]]:
    """Requests an application that trusts PROXY, and returns the client address that its routes see."""
    app: FastAPI = create_app(settings.model_copy(update={"trusted_proxies": TRUSTED}))

    async def whoami(request: Request) -> dict[str, str]:
        return {"address": request.client.host if request.client else ""}

    app.add_api_route("/api/v1/whoami", whoami)

    async def address_seen(peer: str, forwarded: str) -> str:
        transport = httpx2.ASGITransport(app, client=(peer, 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            response = await client.get("/api/v1/whoami", headers={"X-Forwarded-For": forwarded})
            address: str = response.json()["address"]
            return address

    async with app.router.lifespan_context(app):
        yield address_seen


async def test_routes_see_the_address_that_the_proxy_reports(address_seen: Callable[..., object]) -> None:
    assert await address_seen(PROXY, BUYER) == BUYER  # type: ignore[misc]
    assert await address_seen("198.51.100.1", BUYER) == "198.51.100.1"  # type: ignore[misc]
