"""Checks one rate limit from a separate process, at a given request rate.

Usage: python -m tests.infra.http.rate_limit_client KEY PER_MINUTE BURST SECONDS REQUESTS_PER_SECOND
"""

import asyncio
import json
import sys
import time

from ticketing.infra.config import get_settings
from ticketing.infra.http.rate_limiter import Bucket, Rate, RateLimiter
from ticketing.infra.redis import connect_for_limits


async def check_repeatedly(bucket: Bucket, seconds: float, requests_per_second: float) -> dict[str, float]:
    """Return start and end time, and the number of requests sent and allowed."""
    limiter = RateLimiter(connect_for_limits(get_settings()))
    begun, sent, allowed = time.time(), 0, 0

    async def send_requests() -> None:
        nonlocal sent, allowed
        while (elapsed := time.time() - begun) < seconds:
            if sent > elapsed * requests_per_second:
                await asyncio.sleep(0.001)
                continue
            sent += 1
            verdict = await limiter.check([bucket])
            assert verdict is not None
            allowed += verdict.is_allowed

    await asyncio.gather(*(send_requests() for _ in range(4)))
    await limiter.close()
    return {"begun": begun, "ended": time.time(), "sent": sent, "allowed": allowed}


if __name__ == "__main__":
    key, per_minute, burst, seconds, rate = sys.argv[1:]
    bucket = Bucket(key, "user", Rate(int(per_minute), int(burst)))
    sys.stdout.write(json.dumps(asyncio.run(check_repeatedly(bucket, float(seconds), float(rate)))))
