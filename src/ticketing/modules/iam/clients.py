"""Which program on which network asks: enough to know a client again, and for its owner to recognise it in a list."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated

from fastapi import Depends

from ticketing.infra import log, security

ADDRESS_LENGTH_MAX = 64
# What a provider gives to one household or one phone: the rest of an address may change from one request to the next.
_PREFIX_BITS = {4: 24, 6: 64}


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request comes from. The address is that of the nearest proxy that is not in TRUSTED_PROXIES."""

    user_agent: str
    address: str

    @property
    def fingerprint(self) -> bytes:
        """What may be compared to know the client again, and can't be read: user agent and network, digested."""
        return security.keyed_digest(self._known_by)

    def is_same_as(self, fingerprint: bytes | None) -> bool:
        """Whether `fingerprint` was taken of this client, with the present key or an older one."""
        return fingerprint is not None and security.is_keyed_digest(fingerprint, self._known_by)

    @property
    def _known_by(self) -> bytes:
        return f"client\n{self.user_agent}\n{network_of(self.address)}".encode()


def network_of(address: str) -> str:
    """The first 24 bits of an IPv4 address, the first 64 of an IPv6 one; anything else stands for itself."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    plain: IPv4Address | IPv6Address = getattr(parsed, "ipv4_mapped", None) or parsed
    dropped = plain.max_prefixlen - _PREFIX_BITS[plain.version]
    return f"{plain.version}:{int(plain) >> dropped:x}"


async def client_of() -> Client:
    """Who asks, as the middleware has found out. A coroutine: a plain function would be sent to a thread."""
    return Client(log.user_agent.get(), log.client_address.get()[:ADDRESS_LENGTH_MAX])


RequestClient = Annotated[Client, Depends(client_of)]
