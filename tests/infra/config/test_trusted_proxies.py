"""Only a proxy that we were told about can say for whom it speaks."""

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


def seen(speaker: str, *forwarded: str, trusted: str = TRUSTED) -> str:
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    client = client_of({"client": (speaker, 1), "headers": headers}, parse_networks(trusted))
    assert client is not None
    return client[0]


def test_nobody_is_believed_by_default() -> None:
    assert seen("127.0.0.1", BUYER, trusted="") == "127.0.0.1"
    assert Settings.model_fields["trusted_proxies"].default == ""


def test_a_strangers_word_is_ignored() -> None:
    assert seen("198.51.100.1", BUYER) == "198.51.100.1"


def test_a_trusted_proxy_is_believed() -> None:
    assert seen(PROXY, BUYER) == BUYER


def test_a_chain_of_two_is_followed_to_its_beginning() -> None:
    assert seen(PROXY, f"{BUYER}, {BALANCER}") == BUYER
    assert seen(PROXY, BUYER, BALANCER) == BUYER  # each proxy with a header of its own


def test_what_the_client_wrote_itself_is_hearsay() -> None:
    assert seen(PROXY, f"192.0.2.66, {BUYER}") == BUYER
    assert seen(PROXY, f"{BALANCER}, {BUYER}") == BUYER
    assert seen(PROXY, BALANCER, BUYER) == BUYER


@pytest.mark.parametrize("nonsense", ["", "unknown", "x", "999.1.1.1", "_hidden", "1.2.3.4.5", "é"])
def test_nonsense_ends_the_chain_at_who_told_it(nonsense: str) -> None:
    assert seen(PROXY, nonsense) == PROXY
    assert seen(PROXY, f"{nonsense}, {BALANCER}") == BALANCER


def test_a_port_and_brackets_are_no_part_of_an_address() -> None:
    assert seen(PROXY, f"{BUYER}:55555") == BUYER
    assert seen(PROXY, "[2001:db8::7]:443") == "2001:db8::7"
    assert seen("::ffff:10.0.0.5", BUYER) == BUYER
    assert seen("2001:db8:aa::1", "2001:db8::7") == "2001:db8::7"


def test_a_socket_without_an_address_is_believed_by_nobody() -> None:
    assert client_of({"client": None, "headers": []}, parse_networks(TRUSTED)) is None


@pytest.mark.parametrize("value", ["*", "10.0.0.0/33", "localhost", "0.0.0.0/0", "::/0", "10.0.0.1;10.0.0.2"])
def test_a_wrong_list_stops_the_start(value: str) -> None:
    with pytest.raises(ValidationError, match="addresses or CIDR blocks"):
        Settings(trusted_proxies=value)


@pytest.fixture
async def ask(settings: Settings) -> AsyncIterator[Callable[..., object]]:
    """Ask an app that trusts PROXY, from an address, whom it sees."""
    app: FastAPI = create_app(settings.model_copy(update={"trusted_proxies": TRUSTED}))

    async def tell(request: Request) -> dict[str, str]:
        return {"address": request.client.host if request.client else ""}

    app.add_api_route("/api/v1/whoami", tell)

    async def ask(speaker: str, forwarded: str) -> str:
        transport = httpx2.ASGITransport(app, client=(speaker, 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            answer = await client.get("/api/v1/whoami", headers={"X-Forwarded-For": forwarded})
            address: str = answer.json()["address"]
            return address

    async with app.router.lifespan_context(app):
        yield ask


async def test_routes_see_the_address_that_the_proxy_told(ask: Callable[..., object]) -> None:
    assert await ask(PROXY, BUYER) == BUYER  # type: ignore[misc]
    assert await ask("198.51.100.1", BUYER) == "198.51.100.1"  # type: ignore[misc]
