"""The allowed targets of webhooks: the public internet, and nothing that only the platform can reach.

A URL from a tenant is requested from inside the platform's network, where it could reach a cloud's metadata service, a
database's port, or the API itself (server-side request forgery, SSRF). The authoritative check is made at delivery, on
the addresses that are connected to (see delivery/ssrf_guard.py). The check of the URL reports an error early.
"""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import httpx2

URL_LENGTH_MAX = 2000
#: Top-level names that are resolved on the machine or in its local network.
PRIVATE_NAMES = (
    "localhost",
    "local",
    "internal",
    "intranet",
    "lan",
    "home",
    "corp",
    "home.arpa",
    "test",
    "invalid",
    "onion",
)

#: Blocks without public servers that `is_global` accepts, or accepted in some version of Python.
_REFUSED_4 = tuple(
    ip_network(block)
    for block in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "168.63.129.16/32",  # a cloud's metadata behind a public address
        "169.254.0.0/16",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "224.0.0.0/3",
    )
)
#: The part of IPv6 that is routed so far. NAT64, mapped, unique local and link-local addresses are outside of it.
_ROUTED_6 = ip_network("2000::/3")
#: Blocks in it: protocol assignments with Teredo, documentation, and 6to4. Some embed an IPv4 address.
_REFUSED_6 = tuple(ip_network(block) for block in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether this is an address of the public internet."""
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in block for block in _REFUSED_4)
    return address in _ROUTED_6 and address.is_global and not any(address in block for block in _REFUSED_6)


def check_url(url: str, *, allow_http: bool, allow_private: bool) -> None:
    """Check a URL. Raises ValueError with a message that says what is allowed."""
    if len(url) > URL_LENGTH_MAX or not url.isprintable() or any(c in url for c in " \\"):
        raise ValueError(f"Use a URL without spaces, of at most {URL_LENGTH_MAX} characters.")
    try:
        parsed = httpx2.URL(url)
        host = parsed.raw_host.decode("ascii").lower()
    except (httpx2.InvalidURL, ValueError):
        raise ValueError("Use a URL such as https://example.com/hooks.") from None
    if parsed.scheme != "https" and not (allow_http and parsed.scheme == "http"):
        raise ValueError("Use a URL that begins with https://.")
    if "@" in re.split("[/?#]", url.partition("://")[2])[0]:
        raise ValueError("Use a URL without a user name and password; deliveries are signed.")
    if parsed.fragment:
        raise ValueError("Use a URL without a fragment.")
    if not allow_private:
        _check_host(host, parsed.port)


def _check_host(host: str, port: int | None) -> None:
    if port is not None and port not in (80, 443) and not 1024 <= port <= 65535:
        raise ValueError("Use port 443, or one from 1024 on.")
    last = host.rpartition(".")[2]
    if ":" in host or last.isdigit() or last.startswith("0x"):
        # The parser refuses other spellings of an IPv4 address (octal, hexadecimal, one number).
        try:
            is_allowed = is_public(ip_address(host.strip("[]")))
        except ValueError:
            is_allowed = False
    else:
        is_allowed = "." in host.strip(".") and not host.endswith(".") and not _is_private_name(host)
    if not is_allowed:
        raise ValueError("Use a URL of the public internet.")


def _is_private_name(host: str) -> bool:
    return any(host == name or host.endswith(f".{name}") for name in PRIVATE_NAMES)
