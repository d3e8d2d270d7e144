"""Whose request it is when it came through others: only a proxy that we were told about is believed."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import Scope

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


def parse_networks(text: str) -> list[Network]:
    """Addresses and CIDR blocks, separated by commas.

    Raises:
        ValueError: one of them is none, or is everybody.
    """
    networks = [ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip()]
    if any(network.prefixlen == 0 for network in networks):
        raise ValueError("would trust everybody")
    return networks


def client_of(scope: Scope, trusted: Sequence[Network]) -> tuple[str, int] | None:
    """The address that speaks to us, or that which a trusted proxy says it speaks for.

    Every hop appends to `X-Forwarded-For` whom it heard from, so the list is read from its end for as long as the
    speaker is one of ours: what stands before that is hearsay, and anybody may write it.
    """
    client: tuple[str, int] | None = scope.get("client")
    if not trusted or client is None:
        return client
    address = _parse(client[0])[0]
    hops = [hop for name, value in scope["headers"] if name == b"x-forwarded-for" for hop in value.split(b",")]
    while address is not None and hops and any(address in network for network in trusted):
        told, named = _parse(hops.pop().decode("latin-1"))
        if told is None:
            break
        address, client = told, (named, 0)
    return client


@lru_cache(maxsize=20_000)
def _parse(text: str) -> tuple[Address | None, str]:
    """An address, and as it is written; None for what is none."""
    text = text.strip()
    if text.startswith("["):  # [2001:db8::1]:443
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:  # 192.0.2.1:443
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None, ""
    plain = (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
    return plain, str(plain)
