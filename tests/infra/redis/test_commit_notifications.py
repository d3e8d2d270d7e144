"""A commit notification wakes the readers of its topics, and no others."""

import asyncio

import pytest
from fastapi import FastAPI
from redis.asyncio import Redis

from ticketing.infra.redis import commit_notifications
from ticketing.infra.redis.commit_notifications import CommitListener, CommitNotifier


async def notify_until_set(notifier: CommitNotifier, topic: str, event: asyncio.Event) -> None:
    """Repeat the notification until it arrives: the listener may not have subscribed yet."""
    async with asyncio.timeout(60):
        while not event.is_set():
            notifier.send([], [topic])
            await asyncio.sleep(0.02)


async def test_a_notification_wakes_the_readers_of_its_topics_and_of_all_topics(app: FastAPI) -> None:
    listener, notifier = CommitListener(app.state.get(Redis)), CommitNotifier(app.state.get(Redis))
    of_all, of_orders = listener.register(), listener.register(["order.paid", "order.expired"])
    of_users = listener.register(["user.erased"])
    async with listener.listening():
        await notify_until_set(notifier, "order.paid", of_orders)
        assert (of_all.is_set(), of_users.is_set()) == (True, False)
        await notify_until_set(notifier, "user.erased", of_users)
    await notifier.close()


@pytest.mark.parametrize("data", [b"", b"short", b"[]", b"{}", b'{"sender": "x", "event_ids": [], "topics": []}'])
def test_a_malformed_notification_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"commit notification|document|UUID|JSON"):
        commit_notifications.decode(data)
