"""A sleep that events interrupt."""

import asyncio


async def pause(seconds: float, *events: asyncio.Event) -> None:
    """Sleep for `seconds`, or until one of the events is set."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
