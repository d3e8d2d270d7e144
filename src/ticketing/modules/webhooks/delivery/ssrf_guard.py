"""Guards against server-side request forgery: resolves a host name once, and connects to the checked address.

A check before the request would not be enough, because the second look-up of a name may return another address (DNS
rebinding). TLS, SNI and the Host header keep the name, so the certificate is verified as usual.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any

import httpcore2

from ticketing.infra.system.outside_calls import assert_no_transaction
from ticketing.modules.webhooks.url_policy import is_public

#: Addresses of a name that an attempt connects to, one after the other.
ADDRESSES_MAX = 3

#: Returns the addresses of a host name as text. Raises OSError if it has none.
Resolve = Callable[[str, int], Awaitable[list[str]]]

# Separate threads: a slow DNS server must not delay other work in the default executor.
_resolver_threads = ThreadPoolExecutor(max_workers=32, thread_name_prefix="resolve")


class AddressRefused(Exception):
    """The name resolves to an address that is not public."""


class NameUnknown(Exception):
    """The name has no address."""


async def resolve(host: str, port: int) -> list[str]:
    """Resolve a host name with the resolver of the system."""
    assert_no_transaction("the DNS resolver")
    loop = asyncio.get_running_loop()
    found = await loop.run_in_executor(_resolver_threads, _getaddrinfo, host, port)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _getaddrinfo(host: str, port: int) -> list[Any]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class SsrfGuard(httpcore2.AsyncNetworkBackend):
    """A network backend that connects to public addresses only."""

    def __init__(self, *, allow_private: bool, resolve: Resolve = resolve) -> None:
        self._allow_private, self._resolve = allow_private, resolve
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (the library's signature)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Raises AddressRefused, NameUnknown, and the errors of the default backend."""
        assert_no_transaction("the webhook sender")
        failure: Exception = NameUnknown(host)
        for address in (await self._resolve_checked(host, port))[:ADDRESSES_MAX]:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore2.ConnectError as error:
                failure = error
        raise failure

    async def _resolve_checked(self, host: str, port: int) -> list[str]:
        try:
            found = await self._resolve(host, port)
        except (OSError, UnicodeError):
            raise NameUnknown(host) from None
        # One private address refuses the name: otherwise chance would decide which address is connected to.
        if not self._allow_private and not all(_is_allowed(address) for address in found):
            raise AddressRefused(host)
        return found

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        raise AddressRefused(path)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def _is_allowed(address: str) -> bool:
    # A scope (`fe80::1%eth0`) names a local network interface.
    return "%" not in address and is_public(ip_address(address))
