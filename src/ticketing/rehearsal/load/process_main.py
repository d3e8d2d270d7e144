"""A process of virtual buyers: `python -m ticketing.rehearsal.load.process_main`, options on standard input, results on
standard output.

It ends when all of them have done what they wanted, when the sale has gone on for too long, or when whoever started it
is gone: then standard input ends.
"""

import asyncio
import sys
import time
from contextlib import suppress
from typing import Any

import orjson
import uvloop

from ticketing.rehearsal.load.availability import Stock
from ticketing.rehearsal.load.http_client import Wire
from ticketing.rehearsal.load.statistics import Tally
from ticketing.rehearsal.load.virtual_buyer import Buyer, Crowd
from ticketing.rehearsal.load.workload import Sale

TELL_SECONDS = 0.5


async def perform(sale: Sale) -> None:
    """Let everybody live, and tell how it goes."""
    crowd = Crowd(sale, Wire(sale.base_url, sale.connections), Stock(sale), Tally())
    everybody = [asyncio.create_task(_live(crowd, index)) for index in range(len(sale.user_ids))]
    telling = asyncio.create_task(_keep_telling(crowd.tally))
    left = max(0.0, sale.ends_at - time.time())
    _, late = await asyncio.wait(everybody, timeout=left)
    for task in late:
        task.cancel()
    await asyncio.gather(*everybody, return_exceptions=True)
    crowd.tally.ends["sent_home"] += len(late)
    telling.cancel()
    crowd.wire.close()
    _tell(crowd.tally, is_over=True)


async def _live(crowd: Crowd, index: int) -> None:
    try:
        await Buyer(crowd, index).live()
    except Exception as error:  # an answer that no buyer can make sense of is the platform's, and is told
        crowd.tally.wrong("surprise", f"an answer could not be read ({type(error).__name__}: {error})")
        crowd.tally.ends["confused"] += 1


async def _keep_telling(tally: Tally) -> None:
    while True:
        due = time.monotonic() + TELL_SECONDS
        await asyncio.sleep(TELL_SECONDS)
        tally.late_seconds = max(tally.late_seconds, time.monotonic() - due)
        _tell(tally)


def _tell(tally: Tally, is_over: bool = False) -> None:
    content: dict[str, Any] = {"is_over": is_over, "tally": tally.as_json()}
    sys.stdout.buffer.write(orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS) + b"\n")
    sys.stdout.buffer.flush()


async def _main() -> None:
    reader = asyncio.StreamReader(limit=1 << 28)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    sale = Sale.of_json(orjson.loads(await reader.readline()))
    performing = asyncio.create_task(perform(sale))
    orphaned = asyncio.create_task(reader.read())
    await asyncio.wait({performing, orphaned}, return_when=asyncio.FIRST_COMPLETED)
    orphaned.cancel()
    if not performing.done():
        performing.cancel()
    with suppress(asyncio.CancelledError):
        await performing


if __name__ == "__main__":
    uvloop.run(_main())
