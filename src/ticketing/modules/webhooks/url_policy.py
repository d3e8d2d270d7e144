"""Where a webhook may go: to the public internet, and to nothing that only we can reach.

An address that a tenant typed makes our own machines ask it, from inside: the metadata service of a cloud, a database's
port, the API itself. What counts is the check at delivery, of the very addresses that are dialled (see dialing.py); the
check of the text is there to tell a person early.
"""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import httpx2

URL_LENGTH_MAX = 2000
#: Names that never leave the machine or the site.
INSIDE = ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "home.arpa", "test", "invalid", "onion")

#: Routed or not, nobody's public server is there: what `is_global` lets through, or let through in some Python.
_NEVER_4 = tuple(
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
#: All of IPv6 that is routed so far. NAT64, mapped, unique local and link-local addresses lie outside of it.
_ROUTED_6 = ip_network("2000::/3")
#: Inside of it: protocol assignments with Teredo, documentation, and 6to4, each of which may hide an IPv4 address.
_NEVER_6 = tuple(ip_network(block) for block in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether this is an address of the public internet."""
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in block for block in _NEVER_4)
    return address in _ROUTED_6 and address.is_global and not any(address in block for block in _NEVER_6)


def check_url(url: str, *, allow_http: bool, allow_private: bool) -> None:
    """Raises ValueError with a sentence that says what would be right."""
    if len(url) > URL_LENGTH_MAX or not url.isprintable() or any(c in url for c in " \\"):
        raise ValueError(f"Use an address without spaces, of at most {URL_LENGTH_MAX} characters.")
    try:
        parsed = httpx2.URL(url)
        host = parsed.raw_host.decode("ascii").lower()
    except (httpx2.InvalidURL, ValueError):
        raise ValueError("Use an address such as https://example.com/hooks.") from None
    if parsed.scheme != "https" and not (allow_http and parsed.scheme == "http"):
        raise ValueError("Use an address that begins with https://.")
    if "@" in re.split("[/?#]", url.partition("://")[2])[0]:
        raise ValueError("Use an address without a user and a password; what we send is signed.")
    if parsed.fragment:
        raise ValueError("Use an address without a fragment.")
    if not allow_private:
        _check_place(host, parsed.port)


def _check_place(host: str, port: int | None) -> None:
    if port is not None and port not in (80, 443) and not 1024 <= port <= 65535:
        raise ValueError("Use port 443, or one from 1024 on.")
    last = host.rpartition(".")[2]
    if ":" in host or last.isdigit() or last.startswith("0x"):
        # Other spellings of an IPv4 address (octal, hexadecimal, one number) are no address to this parser.
        try:
            is_good = is_public(ip_address(host.strip("[]")))
        except ValueError:
            is_good = False
    else:
        is_good = "." in host.strip(".") and not host.endswith(".") and not _is_inside(host)
    if not is_good:
        raise ValueError("Use an address of the public internet.")


def _is_inside(host: str) -> bool:
    return any(host == name or host.endswith(f".{name}") for name in INSIDE)
