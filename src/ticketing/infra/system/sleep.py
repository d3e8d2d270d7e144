"""Waiting that ends early: when somebody asks us to stop, or when there is news."""

import asyncio


async def pause(seconds: float, *events: asyncio.Event) -> None:
    """Wait so long, but not past the moment when one of the events is set."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()
