"""How often somebody may ask: GCRA over several limits at once, in Redis for all processes, or in this one without it.

GCRA keeps one number per limit: the time at which its bucket would be empty of what it has granted ("theoretical
arrival time", ITU-T I.371). Requests are granted one by one at the rate, and `burst` of them may come at once.
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
#: After Redis has failed, so long nobody waits for it again; then one request tries.
PAUSE_SECONDS = 5.0
#: Of requests that are asked about together; the others wait for the next trip.
BATCH_MAX = 100
#: Of buckets in this process; the one that was asked about longest ago makes room.
LOCAL_BUCKETS_MAX = 50_000

# All or nothing: what one limit refuses is not taken from the others, or else being refused would cost. One clock for
# all processes: Redis'. `%.0f` because Lua writes a large number with fourteen digits, and a time in µs has sixteen.
# The arguments are, for each request of a batch: the number of its keys, then interval and burst of each.
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
    """So many a minute in the long run, and so many at once."""

    per_minute: int
    burst: int

    @property
    def interval_us(self) -> int:
        """Microseconds between two requests at this rate."""
        return MINUTE_US // self.per_minute


class Bucket(NamedTuple):
    """Somebody's share of one limit; `name` says in an answer what was counted ("address", "user")."""

    key: str
    name: str
    rate: Rate


@dataclass(frozen=True, slots=True)
class Verdict:
    """The limit that refused, or the one that would refuse next. `wait_us` is 0 when the request may go on."""

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
        """The fields of draft-ietf-httpapi-ratelimit-headers-06: how many at once, how many left, seconds to full."""
        fields = {
            b"ratelimit-limit": self.bucket.rate.burst,
            b"ratelimit-remaining": self.remaining,
            b"ratelimit-reset": math.ceil(self.full_again_us / 1_000_000),
        }
        return [(name, str(value).encode()) for name, value in fields.items()]


class LocalLimiter:
    """The same arithmetic in this process alone."""

    def __init__(self) -> None:
        self._full_at: OrderedDict[str, int] = OrderedDict()

    def check(self, buckets: Sequence[Bucket]) -> Verdict:
        """Take from all of the buckets, or from none."""
        now = time.monotonic_ns() // 1000
        verdicts = [self._look(bucket, now) for bucket in buckets]
        worst = max(verdicts, key=lambda verdict: (verdict.wait_us, -verdict.remaining))
        if worst.is_allowed:
            for verdict in verdicts:
                self._full_at[verdict.bucket.key] = now + verdict.full_again_us
                self._full_at.move_to_end(verdict.bucket.key)
            while len(self._full_at) > LOCAL_BUCKETS_MAX:
                self._full_at.popitem(last=False)
        return worst

    def _look(self, bucket: Bucket, now: int) -> Verdict:
        interval = bucket.rate.interval_us
        full_at = max(self._full_at.get(bucket.key, 0), now)
        room = now + interval * bucket.rate.burst - full_at - interval
        if room < 0:
            return Verdict(bucket, 0, -room, full_at - now)
        return Verdict(bucket, room // interval, 0, full_at + interval - now)


_Waiting = tuple[Sequence[Bucket], "asyncio.Future[Verdict]"]


def _written(batch: list[_Waiting]) -> tuple[list[str], list[int]]:
    """The script's keys and arguments."""
    keys = [bucket.key for buckets, _ in batch for bucket in buckets]
    arguments: list[int] = []
    for buckets, _ in batch:
        arguments.append(len(buckets))
        for bucket in buckets:
            arguments += (bucket.rate.interval_us, bucket.rate.burst)
    return keys, arguments


class Limiter:
    """Redis decides; while it is away, this process does, and no request waits for a Redis that is known to be away."""

    def __init__(self, redis: Redis) -> None:
        self._redis, self._local = redis, LocalLimiter()
        self._script = redis.register_script(SCRIPT)
        self._waiting: list[_Waiting] = []
        self._sending: asyncio.Task[None] | None = None
        self._try_again_at: float | None = None

    async def check(self, buckets: Sequence[Bucket], *, is_kept_without_redis: bool = True) -> Verdict | None:
        """What the limits say, in one round trip; None when Redis is away and this can go on uncounted.

        All limits hold or none is touched: whoever is refused has used nothing up.
        """
        if self._may_try():
            try:
                verdict = await self._ask(buckets)
            except (RedisError, OSError, TimeoutError) as error:
                self._give_up(error)
            else:
                self._recover()
                return verdict
        metrics.RATE_LIMITS_WITHOUT_REDIS.inc()
        return self._local.check(buckets) if is_kept_without_redis else None

    async def close(self) -> None:
        if self._sending is not None:
            await self._sending
        await self._redis.aclose()

    async def _ask(self, buckets: Sequence[Bucket]) -> Verdict:
        """Requests that come while a batch is on its way are the next batch: a rush costs few trips."""
        loop = asyncio.get_running_loop()
        waiting: _Waiting = (buckets, loop.create_future())
        self._waiting.append(waiting)
        if self._sending is None or self._sending.done():
            self._sending = loop.create_task(self._send())
        return await waiting[1]

    async def _send(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH_MAX], self._waiting[BATCH_MAX:]
            try:
                answers = await self._script(*_written(batch))
            except Exception as error:
                # Whoever waits behind the batch would wait as long for the same.
                batch, self._waiting = batch + self._waiting, []
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
            else:
                for (buckets, future), (number, *rest) in zip(batch, answers, strict=True):
                    if not future.done():  # the client may have left
                        future.set_result(Verdict(buckets[number - 1], *rest))

    def _may_try(self) -> bool:
        if self._try_again_at is None:
            return True
        now = asyncio.get_running_loop().time()
        if now < self._try_again_at:
            return False
        self._try_again_at = now + PAUSE_SECONDS  # one tries, the others go on without
        return True

    def _give_up(self, error: Exception) -> None:
        if self._try_again_at is None:
            _log.warning("limits_without_redis", error=type(error).__name__)
        self._try_again_at = asyncio.get_running_loop().time() + PAUSE_SECONDS

    def _recover(self) -> None:
        if self._try_again_at is not None:
            _log.info("limits_in_redis_again")
            self._try_again_at = None
