"""Being told to stop under load: what becomes of the requests that were under way, seen by those who sent them."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.servers_running import Candidate

CLIENTS = 64
FATES = ("whole", "refused", "unanswered", "cut", "silent")
#: How long the load runs before the signal, and how long an answer or an exit is waited for after it.
LOAD_SECONDS, PATIENCE_SECONDS = 2.0, 30.0


@dataclass(slots=True)
class Stop:
    """What was seen.

    An `unanswered` connection was closed after a request and before a byte of its answer; when it had never had one,
    nobody had accepted it, and it counts as `refused`.
    """

    fates: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    exit_code: int | None = None
    left_behind: int = 0

    def __str__(self) -> str:
        fates = ", ".join(f"{self.fates[fate]} {fate}" for fate in FATES)
        return f"{fates}; exit {self.exit_code} after {self.seconds:.1f} s, {self.left_behind} processes left"


def stop_under_load(candidate: Candidate, requests: Iterator[bytes]) -> Stop:
    """SIGTERM while 64 connections ask without a pause; only what ends after the signal is counted."""
    return asyncio.run(_stop_under_load(candidate, requests))


async def _stop_under_load(candidate: Candidate, requests: Iterator[bytes]) -> Stop:
    seen, told = Stop(), asyncio.Event()
    clients = [asyncio.create_task(_ask_on(candidate.port, requests, seen, told)) for _ in range(CLIENTS)]
    await asyncio.sleep(LOAD_SECONDS)
    children, started = candidate.processes, time.monotonic()
    told.set()
    candidate.process.send_signal(signal.SIGTERM)
    try:
        seen.exit_code = await asyncio.wait_for(asyncio.to_thread(candidate.process.wait), PATIENCE_SECONDS)
    except TimeoutError:
        candidate.end()
    seen.seconds = time.monotonic() - started
    await asyncio.gather(*clients)
    seen.left_behind = len(set(children) & set(candidate.processes))
    return seen


async def _ask_on(port: int, requests: Iterator[bytes], seen: Stop, told: asyncio.Event) -> None:
    """Connect and ask until nobody accepts any more."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return
        answers, fate = 0, "whole"
        while fate == "whole":
            fate = await _ask(reader, writer, next(requests))
            if told.is_set():
                seen.fates[_named(fate, answers)] += 1
            answers += 1
        writer.close()


def _named(fate: str, answers: int) -> str:
    if fate == "unanswered" and not answers:
        return "refused"
    return "whole" if fate == "last" else fate


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> str:
    """What became of one request: `whole` or `last` (whole, and the connection ends), or how it was lost."""
    head = b""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
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
