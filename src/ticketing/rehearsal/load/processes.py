"""The load processes from the side of their parent: start them with a workload, read their statistics, stop them."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress

import orjson

from ticketing.rehearsal.load.statistics import Statistics
from ticketing.rehearsal.load.workload import Workload
from ticketing.rehearsal.options import RehearsalError

LINE_BYTES_MAX = 1 << 26
STOP_SECONDS = 10.0


class LoadProcesses:
    """Call `start`, then `wait`, and in any case `stop`. `statistics` can be read at any time."""

    def __init__(self) -> None:
        self._processes: list[asyncio.subprocess.Process] = []
        self._readers: list[asyncio.Task[None]] = []
        self._statistics: list[Statistics] = []

    @property
    def statistics(self) -> Statistics:
        """The sum of what the processes have reported so far."""
        total = Statistics()
        for each in self._statistics:
            total.add(each)
        return total

    async def start(self, workloads: Sequence[Workload]) -> None:
        """Start a process for each workload."""
        for number, workload in enumerate(workloads):
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "ticketing.rehearsal.load.process_main",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=LINE_BYTES_MAX,
                start_new_session=True,  # so that Ctrl-C reaches only the parent, which stops them
            )
            self._processes.append(process)
            self._statistics.append(Statistics())
            assert process.stdin is not None  # it is a pipe
            process.stdin.write(orjson.dumps(workload.as_json()) + b"\n")
            await process.stdin.drain()
            self._readers.append(asyncio.create_task(self._read(number, process)))

    async def wait(self) -> None:
        """Wait until every process has finished. Raises RehearsalError if one of them failed."""
        await asyncio.gather(*self._readers)

    async def _read(self, number: int, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # it is a pipe
        while line := await process.stdout.readline():
            content = orjson.loads(line)
            self._statistics[number] = Statistics.of_json(content["statistics"])
            if content["is_over"]:
                return
        raise RehearsalError("a load process has failed; its error message is above")

    async def stop(self) -> None:
        """Terminate the processes that are still running."""
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
