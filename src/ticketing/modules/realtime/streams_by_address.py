"""How many streams each client address has open. One address must not take all the streams of a process."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from ticketing.infra.errors import TicketingError


class TooManyStreams(TicketingError):
    """There are too many open streams from this address; close one, or read the seat map without a stream."""

    status, code, retry_after_seconds = 429, "rate_limited", 5


class StreamsByAddress:
    """The open streams of this process, by client network."""

    def __init__(self, of_address_max: int) -> None:
        self._max = of_address_max
        self._open: Counter[str] = Counter()

    @contextmanager
    def counted(self, network: str) -> Iterator[None]:
        """Count a stream for the duration of the block. Raises TooManyStreams."""
        if self._open[network] >= self._max:
            raise TooManyStreams
        self._open[network] += 1
        try:
            yield
        finally:
            self._open[network] -= 1
            if not self._open[network]:
                del self._open[network]
