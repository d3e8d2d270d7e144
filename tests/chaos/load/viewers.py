"""Viewers of the live seat map: the state that a browser would show."""

import asyncio
import json
from contextlib import suppress

import httpx2

from tests.support.world import API

#: A browser reconnects after the server's `retry`, 1 to 5 s; this viewer reconnects sooner.
RECONNECT_SECONDS = 0.5
#: The stream sends a heartbeat every ten seconds; a longer silence means a dead connection.
SILENCE_SECONDS = 15.0


class Viewer:
    """One viewer, which reconnects whenever the stream ends."""

    def __init__(self, url: str, event_id: str) -> None:
        self._url, self._path = url, f"{API}/events/{event_id}/stream"
        self.seats = ""
        self._last_id = ""
        self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _watch(self) -> None:
        timeout = httpx2.Timeout(5, read=SILENCE_SECONDS)
        while True:
            with suppress(httpx2.TransportError):
                # A new client for each connection, so that a dead connection is never reused.
                async with httpx2.AsyncClient(base_url=self._url, timeout=timeout, trust_env=False) as client:
                    headers = {"Last-Event-ID": self._last_id} if self._last_id else {}
                    async with client.stream("GET", self._path, headers=headers) as stream:
                        if stream.status_code == 200:
                            await self._read(stream)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _read(self, stream: httpx2.Response) -> None:
        name, last_id = "", ""
        async for line in stream.aiter_lines():
            field, _, value = line.partition(": ")
            if field == "id":
                last_id = value
            elif field == "event":
                name = value
            elif field == "data":
                self._apply(name, json.loads(value))
                self._last_id = last_id

    def _apply(self, name: str, frame: dict[str, object]) -> None:
        if name == "snapshot":
            self.seats = str(frame["seats"])
        elif name == "seats.updated":
            statuses = list(self.seats)
            changes: list[tuple[int, str]] = frame["changes"]  # type: ignore[assignment]
            for number, status in changes:
                statuses[number] = status
            self.seats = "".join(statuses)
