"""How it goes, while it goes: one screen on a terminal, a line a second elsewhere."""

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

from ticketing.rehearsal.load.processes import Company
from ticketing.rehearsal.monitor import Sight, Watch
from ticketing.rehearsal.scratch_event import Stage

DRAW_SECONDS = 0.5
LINE_SECONDS = 1.0
#: Where no terminal says how wide it is: a log.
LINE_LETTERS = 140


class Display:
    """Says what is being done; `show` goes on drawing the sale until cancelled."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.console = Console(file=out or sys.stdout, highlight=False, soft_wrap=True)
        if not self.console.is_terminal:
            self.console.width = LINE_LETTERS

    def say(self, line: str) -> None:
        self.console.print(line, markup=False)

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """A thing that takes a moment: what, and how long it took."""
        begun = time.monotonic()
        yield
        self.say(f"  {what:<52}{time.monotonic() - begun:6.1f} s")

    async def show(self, stage: Stage, watch: Watch, company: Company) -> None:
        """Draw until cancelled."""
        if not self.console.is_terminal:
            while True:
                await asyncio.sleep(LINE_SECONDS)
                self.say("  " + "   ".join(f"{name} {value}" for name, value in _facts(watch, company).items()))
        with Live(console=self.console, refresh_per_second=4) as live:
            while True:
                live.update(_screen(stage, watch, company))
                await asyncio.sleep(DRAW_SECONDS)


def _facts(watch: Watch, company: Company) -> dict[str, str]:
    tally, sight = company.tally, _latest(watch)
    seconds = time.time() - watch.opens_at
    lately = sum(tally.holds_by_second[int(time.time()) - n] for n in (1, 2, 3)) / 3
    return {
        "time": f"{seconds:+.0f} s",
        "left": str(sight.left),
        "held": str(sight.held),
        "sold": str(sight.sold),
        "holds/s": f"{lately:.0f}",
        "granted": str(tally.count("hold", 201)),
        "lost": str(tally.count("hold", 409)),
        "503": str(tally.count(status=503)),
        "429": str(tally.count(status=429)),
        "wrong": str(tally.wrongs.total()),
        "gone home": str(tally.ends.total()),
        "log behind": f"{sight.lag_seconds:.1f} s",
    }


def _screen(stage: Stage, watch: Watch, company: Company) -> Table:
    facts, sight = _facts(watch, company), _latest(watch)
    progress = Progress(TextColumn("{task.description}"), BarColumn(40), TextColumn("{task.completed}/{task.total}"))
    progress.add_task("sold", total=stage.for_sale, completed=sight.sold)
    progress.add_task("gone", total=stage.for_sale, completed=stage.for_sale - sight.left)
    numbers = Table.grid(padding=(0, 2))
    names = list(facts)
    for first in range(0, len(names), 4):
        numbers.add_row(*(f"[dim]{name}[/dim] [bold]{facts[name]}[/bold]" for name in names[first : first + 4]))
    screen = Table.grid()
    screen.add_row(progress)
    screen.add_row(numbers)
    return screen


def _latest(watch: Watch) -> Sight:
    return watch.sights[-1] if watch.sights else Sight(0, watch.stage.for_sale, 0, 0, 0)
