"""A load process: `python -m ticketing.rehearsal.load.process_main` reads a workload, and prints statistics, as JSON.

It ends when its virtual buyers have finished, when the time limit is reached, or when its parent process has ended,
which closes standard input.
"""

import asyncio
import sys
import time
from contextlib import suppress
from typing import Any

import orjson
import uvloop

from ticketing.rehearsal.load.availability import Availability
from ticketing.rehearsal.load.http_client import HttpClient
from ticketing.rehearsal.load.statistics import Statistics
from ticketing.rehearsal.load.virtual_buyer import BuyerContext, VirtualBuyer
from ticketing.rehearsal.load.workload import Workload

REPORT_SECONDS = 0.5


async def run(workload: Workload) -> None:
    """Run all virtual buyers, and report their statistics until the last one has finished."""
    client = HttpClient(workload.base_url, workload.connections)
    context = BuyerContext(workload, client, Availability(workload), Statistics())
    buyers = [asyncio.create_task(_run_buyer(context, index)) for index in range(len(workload.user_ids))]
    reporting = asyncio.create_task(_report_periodically(context.statistics))
    _, late = await asyncio.wait(buyers, timeout=max(0.0, workload.ends_at - time.time()))
    for task in late:
        task.cancel()
    await asyncio.gather(*buyers, return_exceptions=True)
    context.statistics.outcomes["sent_home"] += len(late)
    reporting.cancel()
    client.close()
    _report(context.statistics, is_over=True)


async def _run_buyer(context: BuyerContext, index: int) -> None:
    try:
        await VirtualBuyer(context, index).run()
    except Exception as error:  # a response of unexpected content is an error of the platform, and is reported
        description = f"a response could not be parsed ({type(error).__name__}: {error})"
        context.statistics.record_error("surprise", description)
        context.statistics.outcomes["confused"] += 1


async def _report_periodically(statistics: Statistics) -> None:
    while True:
        due = time.monotonic() + REPORT_SECONDS
        await asyncio.sleep(REPORT_SECONDS)
        statistics.late_seconds = max(statistics.late_seconds, time.monotonic() - due)
        _report(statistics)


def _report(statistics: Statistics, is_over: bool = False) -> None:
    content: dict[str, Any] = {"is_over": is_over, "statistics": statistics.as_json()}
    sys.stdout.buffer.write(orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS) + b"\n")
    sys.stdout.buffer.flush()


async def _main() -> None:
    reader = asyncio.StreamReader(limit=1 << 28)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    workload = Workload.of_json(orjson.loads(await reader.readline()))
    running = asyncio.create_task(run(workload))
    orphaned = asyncio.create_task(reader.read())
    await asyncio.wait({running, orphaned}, return_when=asyncio.FIRST_COMPLETED)
    orphaned.cancel()
    if not running.done():
        running.cancel()
    with suppress(asyncio.CancelledError):
        await running


if __name__ == "__main__":
    uvloop.run(_main())
