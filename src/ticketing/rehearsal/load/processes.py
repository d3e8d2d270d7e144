"""The processes of the crowd, as the one that watches sees them: started with a brief, read from, ended for certain."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress

import orjson

from ticketing.rehearsal.load.statistics import Tally
from ticketing.rehearsal.load.workload import Sale
from ticketing.rehearsal.options import RehearsalError

LINE_BYTES_MAX = 1 << 26
END_SECONDS = 10.0


class Company:
    """`await company.start(sales)`, read `tally` as often as you like, `await company.finish()`, and always `end()`."""

    def __init__(self) -> None:
        self._processes: list[asyncio.subprocess.Process] = []
        self._readers: list[asyncio.Task[None]] = []
        self._tallies: list[Tally] = []

    @property
    def tally(self) -> Tally:
        """What all of them have seen so far."""
        total = Tally()
        for tally in self._tallies:
            total.add(tally)
        return total

    async def start(self, sales: Sequence[Sale]) -> None:
        """A process for each of these."""
        for number, sale in enumerate(sales):
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "ticketing.rehearsal.load.process_main",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=LINE_BYTES_MAX,
                start_new_session=True,  # Ctrl-C is for us: they are ended in good order
            )
            self._processes.append(process)
            self._tallies.append(Tally())
            assert process.stdin is not None  # it is a pipe
            process.stdin.write(orjson.dumps(sale.as_json()) + b"\n")
            await process.stdin.drain()
            self._readers.append(asyncio.create_task(self._read(number, process)))

    async def finish(self) -> None:
        """Wait until everybody has gone home. Raises RehearsalError when a process fell."""
        await asyncio.gather(*self._readers)

    async def _read(self, number: int, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # it is a pipe
        while line := await process.stdout.readline():
            content = orjson.loads(line)
            self._tallies[number] = Tally.of_json(content["tally"])
            if content["is_over"]:
                return
        raise RehearsalError("a process of the crowd has fallen; what it says about it is above")

    async def end(self) -> None:
        """See that none of them runs on."""
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(END_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
