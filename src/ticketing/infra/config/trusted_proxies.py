"""The client address of a request that came through proxies. Only configured proxies are believed."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import Scope

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


def parse_networks(text: str) -> list[Network]:
    """Parse addresses and CIDR blocks separated by commas.

    Raises:
        ValueError: one of them is neither, or contains every address.
    """
    networks = [ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip()]
    if any(network.prefixlen == 0 for network in networks):
        raise ValueError("would trust every address")
    return networks


def client_of(scope: Scope, trusted: Sequence[Network]) -> tuple[str, int] | None:
    """The peer's address; or, for a request through trusted proxies, the client's address that they report.

    Every hop appends its peer's address to `X-Forwarded-For`. So the list is read from its end, for as long as the
    reporting hop is a trusted proxy: a client can write anything before that.
    """
    client: tuple[str, int] | None = scope.get("client")
    if not trusted or client is None:
        return client
    address = _parse(client[0])[0]
    hops = [hop for name, value in scope["headers"] if name == b"x-forwarded-for" for hop in value.split(b",")]
    while address is not None and hops and any(address in network for network in trusted):
        previous, written = _parse(hops.pop().decode("latin-1"))
        if previous is None:
            break
        address, client = previous, (written, 0)
    return client


@lru_cache(maxsize=20_000)
def _parse(text: str) -> tuple[Address | None, str]:
    """Return an address and its canonical text; None and "" for anything else."""
    text = text.strip()
    if text.startswith("["):  # [2001:db8::1]:443
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:  # 192.0.2.1:443
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None, ""
    unmapped = (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
    return unmapped, str(unmapped)
