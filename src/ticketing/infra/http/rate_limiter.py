"""Rate limiting with GCRA over several limits at once: in Redis for all processes, in memory while Redis is away.

GCRA keeps one timestamp per limit, the "theoretical arrival time" of ITU-T I.371: when everything granted so far will
have drained at the rate. Up to `burst` requests may arrive at once.
"""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from redis.asyncio import Redis
from redis.exceptions import RedisError

from ticketing.infra import log, metrics

MINUTE_US = 60_000_000
#: After a failure, Redis is not contacted for this long; then a single request tries it.
PAUSE_SECONDS = 5.0
#: Requests per round trip; further ones wait for the next.
BATCH_MAX = 100
#: Buckets kept in memory without Redis; the least recently used one is evicted.
LOCAL_BUCKETS_MAX = 50_000

# All or nothing: a request that one limit refuses takes nothing from the others, so that a refusal costs nothing.
# Redis' clock is the clock of all processes. `%.0f` because Lua prints large numbers with 14 digits, and a time in µs
# has 16. The arguments are, for each request of a batch: its number of keys, then interval and burst of each.
SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

local function check(first_key, first_argument, count)
  local fulls, wait, refuser, tightest, left = {}, 0, 0, 1, math.huge
  for i = 1, count do
    local interval, burst = tonumber(ARGV[first_argument + 2 * i - 2]), tonumber(ARGV[first_argument + 2 * i - 1])
    local full = math.max(tonumber(redis.call('GET', KEYS[first_key + i - 1]) or now), now) + interval
    local room = now + interval * burst - full
    fulls[i] = full
    if -room > wait then wait, refuser = -room, i end
    if math.floor(room / interval) < left then left, tightest = math.floor(room / interval), i end
  end
  if refuser > 0 then
    return {refuser, 0, wait, fulls[refuser] - tonumber(ARGV[first_argument + 2 * refuser - 2]) - now}
  end
  for i = 1, count do
    local lifetime = math.ceil((fulls[i] - now) / 1000)
    redis.call('SET', KEYS[first_key + i - 1], string.format('%.0f', fulls[i]), 'PX', lifetime)
  end
  return {tightest, left, 0, fulls[tightest] - now}
end

local answers, key, argument = {}, 1, 1
while argument <= #ARGV do
  local count = tonumber(ARGV[argument])
  answers[#answers + 1] = check(key, argument + 1, count)
  key, argument = key + count, argument + 1 + 2 * count
end
return answers
"""

_log = log.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rate:
    """A sustained rate per minute, and the burst allowed at once."""

    per_minute: int
    burst: int

    @property
    def interval_us(self) -> int:
        """Microseconds between two requests at the sustained rate."""
        return MINUTE_US // self.per_minute


class Bucket(NamedTuple):
    """One counter of one limit. `name` tells clients what is counted ("address", "user")."""

    key: str
    name: str
    rate: Rate


@dataclass(frozen=True, slots=True)
class Verdict:
    """The limit that refused, or the one closest to refusing. `wait_us` is 0 when the request is allowed."""

    bucket: Bucket
    remaining: int
    wait_us: int
    full_again_us: int

    @property
    def is_allowed(self) -> bool:
        return self.wait_us == 0

    @property
    def retry_after_seconds(self) -> int:
        return max(1, math.ceil(self.wait_us / 1_000_000))

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The fields of draft-ietf-httpapi-ratelimit-headers-06: burst, remaining requests, seconds until full."""
        fields = {
            b"ratelimit-limit": self.bucket.rate.burst,
            b"ratelimit-remaining": self.remaining,
            b"ratelimit-reset": math.ceil(self.full_again_us / 1_000_000),
        }
        return [(name, str(value).encode()) for name, value in fields.items()]


class LocalRateLimiter:
    """The same algorithm in the memory of this process."""

    def __init__(self) -> None:
        self._full_at: OrderedDict[str, int] = OrderedDict()

    def check(self, buckets: Sequence[Bucket]) -> Verdict:
        """Take one request from all buckets, or from none."""
        now = time.monotonic_ns() // 1000
        verdicts = [self._peek(bucket, now) for bucket in buckets]
        worst = max(verdicts, key=lambda verdict: (verdict.wait_us, -verdict.remaining))
        if worst.is_allowed:
            for verdict in verdicts:
                self._full_at[verdict.bucket.key] = now + verdict.full_again_us
                self._full_at.move_to_end(verdict.bucket.key)
            while len(self._full_at) > LOCAL_BUCKETS_MAX:
                self._full_at.popitem(last=False)
        return worst

    def _peek(self, bucket: Bucket, now: int) -> Verdict:
        interval = bucket.rate.interval_us
        full_at = max(self._full_at.get(bucket.key, 0), now)
        room = now + interval * bucket.rate.burst - full_at - interval
        if room < 0:
            return Verdict(bucket, 0, -room, full_at - now)
        return Verdict(bucket, room // interval, 0, full_at + interval - now)


_PendingCheck = tuple[Sequence[Bucket], "asyncio.Future[Verdict]"]


def _encode(batch: list[_PendingCheck]) -> tuple[list[str], list[int]]:
    """Return the keys and arguments of the script."""
    keys = [bucket.key for buckets, _ in batch for bucket in buckets]
    arguments: list[int] = []
    for buckets, _ in batch:
        arguments.append(len(buckets))
        for bucket in buckets:
            arguments += (bucket.rate.interval_us, bucket.rate.burst)
    return keys, arguments


class RateLimiter:
    """Checks limits in Redis. During an outage it checks them in memory, and no request waits for Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis, self._local = redis, LocalRateLimiter()
        self._script = redis.register_script(SCRIPT)
        self._pending: list[_PendingCheck] = []
        self._sending: asyncio.Task[None] | None = None
        self._try_again_at: float | None = None

    async def check(self, buckets: Sequence[Bucket], *, is_kept_without_redis: bool = True) -> Verdict | None:
        """Check the limits in one round trip. Return None when Redis is away and the limits are not kept without it.

        A refused request takes nothing from any bucket.
        """
        if self._may_try_redis():
            try:
                verdict = await self._check_with_redis(buckets)
            except (RedisError, OSError, TimeoutError) as error:
                self._pause_redis(error)
            else:
                self._resume_redis()
                return verdict
        metrics.RATE_LIMITS_WITHOUT_REDIS.inc()
        return self._local.check(buckets) if is_kept_without_redis else None

    async def close(self) -> None:
        if self._sending is not None:
            await self._sending
        await self._redis.aclose()

    async def _check_with_redis(self, buckets: Sequence[Bucket]) -> Verdict:
        """Requests that arrive during a round trip form the next batch, so that a burst costs few round trips."""
        loop = asyncio.get_running_loop()
        pending: _PendingCheck = (buckets, loop.create_future())
        self._pending.append(pending)
        if self._sending is None or self._sending.done():
            self._sending = loop.create_task(self._send_batches())
        return await pending[1]

    async def _send_batches(self) -> None:
        while self._pending:
            batch, self._pending = self._pending[:BATCH_MAX], self._pending[BATCH_MAX:]
            try:
                results = await self._script(*_encode(batch))
            except Exception as error:
                # Fail the checks queued behind the batch too: they would only run into the same timeout.
                batch, self._pending = batch + self._pending, []
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
            else:
                for (buckets, future), (number, *rest) in zip(batch, results, strict=True):
                    if not future.done():  # cancelled when the client disconnects
                        future.set_result(Verdict(buckets[number - 1], *rest))

    def _may_try_redis(self) -> bool:
        if self._try_again_at is None:
            return True
        now = asyncio.get_running_loop().time()
        if now < self._try_again_at:
            return False
        self._try_again_at = now + PAUSE_SECONDS  # this request tries; the others continue without
        return True

    def _pause_redis(self, error: Exception) -> None:
        if self._try_again_at is None:
            _log.warning("limits_without_redis", error=type(error).__name__)
        self._try_again_at = asyncio.get_running_loop().time() + PAUSE_SECONDS

    def _resume_redis(self) -> None:
        if self._try_again_at is not None:
            _log.info("limits_in_redis_again")
            self._try_again_at = None
