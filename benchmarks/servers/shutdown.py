"""Shutdown under load: what happens to requests in flight, from the clients' side."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.servers.candidates import Candidate

CLIENTS = 64
OUTCOMES = ("whole", "refused", "unanswered", "cut", "silent")
#: How long the load runs before the signal, and the timeout for responses and the exit after it.
LOAD_SECONDS, TIMEOUT_SECONDS = 2.0, 30.0


@dataclass(slots=True)
class Shutdown:
    """The outcomes of requests, and the exit of the server.

    `unanswered`: the connection was closed after a request, before the first byte of the response. If it was the first
    request of its connection, the server had not accepted the connection, and it counts as `refused`.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    exit_code: int | None = None
    left_behind: int = 0

    def __str__(self) -> str:
        outcomes = ", ".join(f"{self.outcomes[outcome]} {outcome}" for outcome in OUTCOMES)
        return f"{outcomes}; exit {self.exit_code} after {self.seconds:.1f} s, {self.left_behind} processes left"


def stop_under_load(candidate: Candidate, requests: Iterator[bytes]) -> Shutdown:
    """Send SIGTERM while 64 connections send requests; count those that end after the signal."""
    return asyncio.run(_stop_under_load(candidate, requests))


async def _stop_under_load(candidate: Candidate, requests: Iterator[bytes]) -> Shutdown:
    shutdown, is_signalled = Shutdown(), asyncio.Event()
    clients = [
        asyncio.create_task(_send_requests(candidate.port, requests, shutdown, is_signalled)) for _ in range(CLIENTS)
    ]
    await asyncio.sleep(LOAD_SECONDS)
    children, started = candidate.processes, time.monotonic()
    is_signalled.set()
    candidate.process.send_signal(signal.SIGTERM)
    try:
        shutdown.exit_code = await asyncio.wait_for(asyncio.to_thread(candidate.process.wait), TIMEOUT_SECONDS)
    except TimeoutError:
        candidate.end()
    shutdown.seconds = time.monotonic() - started
    await asyncio.gather(*clients)
    shutdown.left_behind = len(set(children) & set(candidate.processes))
    return shutdown


async def _send_requests(port: int, requests: Iterator[bytes], shutdown: Shutdown, is_signalled: asyncio.Event) -> None:
    """Connect and send requests until connections are refused."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return
        responses, outcome = 0, "whole"
        while outcome == "whole":
            outcome = await _send_request(reader, writer, next(requests))
            if is_signalled.is_set():
                shutdown.outcomes[_named(outcome, responses)] += 1
            responses += 1
        writer.close()


def _named(outcome: str, responses: int) -> str:
    if outcome == "unanswered" and not responses:
        return "refused"
    return "whole" if outcome == "last" else outcome


async def _send_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> str:
    """The outcome of one request: `whole`, `last` (whole, and the connection is closed), or how it failed."""
    head = b""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            names = {name.lower(): value.strip() for name, _, value in (x.partition(b":") for x in head.split(b"\r\n"))}
            await reader.readexactly(int(names[b"content-length"]))
    except TimeoutError:
        return "silent"
    except asyncio.IncompleteReadError as error:
        return "cut" if head or error.partial else "unanswered"
    except OSError:
        return "cut" if head else "unanswered"
    return "last" if names.get(b"connection", b"").lower() == b"close" else "whole"
