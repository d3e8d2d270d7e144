"""The client of a request: enough to recognise the same client again, and for its user to recognise it in a list."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated

from fastapi import Depends

from ticketing.infra import log, security

ADDRESS_LENGTH_MAX = 64
# The prefix that a provider assigns to a household or phone; the remaining bits may change between requests.
_PREFIX_BITS = {4: 24, 6: 64}


@dataclass(frozen=True, slots=True)
class Client:
    """The origin of a request: `address` is the nearest peer that is not in TRUSTED_PROXIES."""

    user_agent: str
    address: str

    @property
    def fingerprint(self) -> bytes:
        """Return a keyed digest of user agent and network, to recognise the client without storing either."""
        return security.keyed_digest(self._identity)

    def has_fingerprint(self, fingerprint: bytes | None) -> bool:
        """Whether `fingerprint` is one of this client, under the current key or an older one."""
        return fingerprint is not None and security.is_keyed_digest(fingerprint, self._identity)

    @property
    def _identity(self) -> bytes:
        return f"client\n{self.user_agent}\n{network_of(self.address)}".encode()


def network_of(address: str) -> str:
    """Return the first 24 bits of an IPv4 address, the first 64 of an IPv6 one, and anything else unchanged."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    plain: IPv4Address | IPv6Address = getattr(parsed, "ipv4_mapped", None) or parsed
    dropped = plain.max_prefixlen - _PREFIX_BITS[plain.version]
    return f"{plain.version}:{int(plain) >> dropped:x}"


async def client_of() -> Client:
    """Return the client that the middleware has determined. A coroutine: FastAPI runs plain functions in a thread."""
    return Client(log.user_agent.get(), log.client_address.get()[:ADDRESS_LENGTH_MAX])


RequestClient = Annotated[Client, Depends(client_of)]
