"""A nudge wakes those who read what was written, and nobody else."""

import asyncio

import pytest
from fastapi import FastAPI
from redis.asyncio import Redis

from ticketing.infra.redis import commit_notifications
from ticketing.infra.redis.commit_notifications import Nudge, Wake


async def wake_up(sender: Nudge, topic: str, waiting: asyncio.Event) -> None:
    """Nudge until it is felt: the one who listens may not have begun."""
    async with asyncio.timeout(60):
        while not waiting.is_set():
            sender.send([], [topic])
            await asyncio.sleep(0.02)


async def test_a_nudge_wakes_the_readers_of_its_topics_and_those_of_all(app: FastAPI) -> None:
    wake, sender = Wake(app.state.get(Redis)), Nudge(app.state.get(Redis))
    every, mine, other = wake.register(), wake.register(["order.paid", "order.expired"]), wake.register(["user.erased"])
    async with wake.listening():
        await wake_up(sender, "order.paid", mine)
        assert (every.is_set(), other.is_set()) == (True, False)
        await wake_up(sender, "user.erased", other)
    await sender.close()


@pytest.mark.parametrize("junk", [b"", b"short", b"[]", b"{}", b'{"sender": "x", "event_ids": [], "topics": []}'])
def test_what_is_no_nudge_is_refused(junk: bytes) -> None:
    with pytest.raises(ValueError, match=r"nudge|document|UUID|JSON"):
        commit_notifications.read(junk)
