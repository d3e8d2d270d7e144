"""What counts as one client address in limits."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network


@lru_cache(maxsize=20_000)
def network_of(address: str) -> str:
    """Return what counts as one address: IPv4 unchanged, IPv6 by the /64 of one subscriber (RFC 6177 §2)."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or ip_network((parsed, 64), strict=False))
    return str(parsed)
