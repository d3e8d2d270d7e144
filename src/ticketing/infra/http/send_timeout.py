"""Disconnects clients that do not read their responses, which would otherwise occupy memory without limit."""

import asyncio

from ticketing.infra import metrics

#: While unsent bytes fill the server's buffer, the client must take SEND_BYTES_MIN within each period of this length.
SEND_SECONDS = 15.0
#: 1 kB/s: slower than any mobile network that is still usable.
SEND_BYTES_MIN = 16 * 1024


class SendTimeout:
    """The timer of one connection. It runs while the transport's buffer is above its high-water mark."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._timer: asyncio.TimerHandle | None = None
        self._unsent_bytes = 0

    def start(self) -> None:
        """Begin a period. Applications wait before they write more, so the buffer only shrinks from here on."""
        self._unsent_bytes = self._transport.get_write_buffer_size()
        self._timer = asyncio.get_running_loop().call_later(SEND_SECONDS, self._check)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        if self._unsent_bytes - self._transport.get_write_buffer_size() >= SEND_BYTES_MIN:
            self.start()
            return
        metrics.SLOW_READERS.inc()
        # An ordinary close waits until the buffer is sent, which may never happen.
        self._transport.abort()
