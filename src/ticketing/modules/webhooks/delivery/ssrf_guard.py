"""Dials what was checked and nothing else: a name is resolved once, and the connection goes to that very address.

A check before the request would be worth nothing: the name may lead elsewhere when it is asked the second time. TLS,
SNI and the Host header keep the name, so a certificate is verified as ever.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any

import httpcore2

from ticketing.modules.webhooks.url_policy import is_public

#: A name may have many addresses; when the first few don't answer, the try has failed.
ADDRESSES_MAX = 3

#: The addresses of a name, as text. Raises OSError when it has none.
Resolve = Callable[[str, int], Awaitable[list[str]]]

# Of their own: a resolver that takes its time must not keep anybody else's work waiting.
_resolving = ThreadPoolExecutor(max_workers=32, thread_name_prefix="resolve")


class AddressRefused(Exception):
    """This name leads to an address that is not everybody's."""


class NameUnknown(Exception):
    """This name has no address."""


async def resolve(host: str, port: int) -> list[str]:
    """The addresses that the machine's resolver knows."""
    loop = asyncio.get_running_loop()
    found = await loop.run_in_executor(_resolving, _getaddrinfo, host, port)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _getaddrinfo(host: str, port: int) -> list[Any]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class CheckedBackend(httpcore2.AsyncNetworkBackend):
    """The network as a webhook sees it."""

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
        """Raises AddressRefused, NameUnknown, and what httpcore's own raises."""
        failure: Exception = NameUnknown(host)
        for address in (await self._find(host, port))[:ADDRESSES_MAX]:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore2.ConnectError as error:
                failure = error
        raise failure

    async def _find(self, host: str, port: int) -> list[str]:
        try:
            found = await self._resolve(host, port)
        except (OSError, UnicodeError):
            raise NameUnknown(host) from None
        # All of them: who answers with one address outside and one inside leaves it to luck which is dialled.
        if not self._allow_private and not all(_is_good(address) for address in found):
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


def _is_good(address: str) -> bool:
    # A scope (`fe80::1%eth0`) names one of our own interfaces.
    return "%" not in address and is_public(ip_address(address))
