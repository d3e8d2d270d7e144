"""Progress of a rehearsal: a live display on a terminal, a line per second elsewhere."""

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from ticketing.rehearsal.load.processes import LoadProcesses
from ticketing.rehearsal.monitor import Monitor, Sample
from ticketing.rehearsal.scratch_event import ScratchEvent

REFRESH_SECONDS = 0.5
LINE_SECONDS = 1.0
#: The width of lines that do not go to a terminal.
LINE_CHARACTERS = 140


class ProgressDisplay:
    """Prints the steps of a rehearsal, and its figures while the sale runs."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.console = Console(file=out or sys.stdout, highlight=False, soft_wrap=True)
        if not self.console.is_terminal:
            self.console.width = LINE_CHARACTERS

    def say(self, line: str) -> None:
        self.console.print(line, markup=False)

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Print the step and its duration when the block has succeeded."""
        begun = time.monotonic()
        yield
        self.say(f"  {what:<52}{time.monotonic() - begun:6.1f} s")

    async def show(self, event: ScratchEvent, monitor: Monitor, processes: LoadProcesses) -> None:
        """Show the figures until cancelled."""
        if not self.console.is_terminal:
            while True:
                await asyncio.sleep(LINE_SECONDS)
                self.say("  " + "   ".join(f"{name} {value}" for name, value in _figures(monitor, processes).items()))
        with Live(console=self.console, refresh_per_second=4) as live:
            while True:
                live.update(_screen(event, monitor, processes))
                await asyncio.sleep(REFRESH_SECONDS)


def _figures(monitor: Monitor, processes: LoadProcesses) -> dict[str, str]:
    statistics, sample = processes.statistics, _latest(monitor)
    seconds = time.time() - monitor.opens_at
    recent = sum(statistics.holds_by_second[int(time.time()) - n] for n in (1, 2, 3)) / 3
    return {
        "time": f"{seconds:+.0f} s",
        "left": str(sample.left),
        "held": str(sample.held),
        "sold": str(sample.sold),
        "holds/s": f"{recent:.0f}",
        "granted": str(statistics.count("hold", 201)),
        "lost": str(statistics.count("hold", 409)),
        "503": str(statistics.count(status=503)),
        "429": str(statistics.count(status=429)),
        "errors": str(statistics.errors.total()),
        "finished": str(statistics.outcomes.total()),
        "log behind": f"{sample.lag_seconds:.1f} s",
    }


def _screen(event: ScratchEvent, monitor: Monitor, processes: LoadProcesses) -> Table:
    figures, sample = _figures(monitor, processes), _latest(monitor)
    progress = Progress(TextColumn("{task.description}"), BarColumn(40), TextColumn("{task.completed}/{task.total}"))
    progress.add_task("sold", total=event.for_sale, completed=sample.sold)
    progress.add_task("held or sold", total=event.for_sale, completed=event.for_sale - sample.left)
    numbers = Table.grid(padding=(0, 2))
    names = list(figures)
    for first in range(0, len(names), 4):
        numbers.add_row(*(f"[dim]{name}[/dim] [bold]{figures[name]}[/bold]" for name in names[first : first + 4]))
    screen = Table.grid()
    screen.add_row(progress)
    screen.add_row(numbers)
    return screen


def _latest(monitor: Monitor) -> Sample:
    return monitor.samples[-1] if monitor.samples else Sample(0, monitor.event.for_sale, 0, 0, 0)
