"""Run a piece of work for as long as a condition holds that a second task maintains, such as a lease."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def run_while(condition: Coroutine[Any, Any, None], work: Coroutine[Any, Any, T]) -> T:
    """Run `work` beside `condition`, which runs until it is cancelled; the result of `work`.

    When `condition` fails, `work` is cancelled. Neither is running when this returns or raises.

    Raises:
        Exception: whatever `condition` raised, or else `work`.
    """
    keeping, working = asyncio.create_task(condition), asyncio.create_task(work)
    try:
        await asyncio.wait({keeping, working}, return_when=asyncio.FIRST_COMPLETED)
        if keeping.done() and not working.done():
            keeping.result()
        return await working
    finally:
        keeping.cancel()
        working.cancel()
        await asyncio.gather(keeping, working, return_exceptions=True)
