"""Sends requests under one rate limit as fast as it can.

Usage: python -m tests.infra.http.rate_limit_client KEY PER_MINUTE BURST SECONDS ASKS_PER_SECOND
"""

import asyncio
import json
import sys
import time

from ticketing.infra.config import get_settings
from ticketing.infra.http.rate_limiter import Bucket, Rate, RateLimiter
from ticketing.infra.redis import connect_for_limits


async def hammer(bucket: Bucket, seconds: float, asks_per_second: float) -> dict[str, float]:
    """When it began and ended, how often it asked, and how often it was let in."""
    limiter = RateLimiter(connect_for_limits(get_settings()))
    begun, asked, allowed = time.time(), 0, 0

    async def knock() -> None:
        nonlocal asked, allowed
        while (gone := time.time() - begun) < seconds:
            if asked > gone * asks_per_second:
                await asyncio.sleep(0.001)
                continue
            asked += 1
            verdict = await limiter.check([bucket])
            assert verdict is not None
            allowed += verdict.is_allowed

    await asyncio.gather(*(knock() for _ in range(4)))
    await limiter.close()
    return {"begun": begun, "ended": time.time(), "asked": asked, "allowed": allowed}


if __name__ == "__main__":
    key, per_minute, burst, seconds, asks = sys.argv[1:]
    bucket = Bucket(key, "user", Rate(int(per_minute), int(burst)))
    sys.stdout.write(json.dumps(asyncio.run(hammer(bucket, float(seconds), float(asks)))))
