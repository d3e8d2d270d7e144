"""The output of `ticketing up` on the terminal."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Terminal:
    """Prints progress and warnings. Errors of a closed terminal are ignored, so that the shutdown completes."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def say(self, line: str = "") -> None:
        with suppress(OSError):
            print(line, flush=True)  # noqa: T201 - this is the terminal

    def warn(self, line: str) -> None:
        """Print to standard error, and append to the log."""
        stamped = f"{time.strftime('%H:%M:%S')} {line}"
        with suppress(OSError):
            print(stamped, file=sys.stderr, flush=True)  # noqa: T201 - this is the terminal
        with suppress(OSError), self._log.open("a") as log:
            log.write(f"{time.strftime('%Y-%m-%d')} {stamped}\n")

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Print the step and its duration when the block has succeeded."""
        begun = time.monotonic()
        yield
        self.say(f"  {what:<38}{time.monotonic() - begun:5.1f} s")


def last_line(log: Path | None) -> str:
    """The last line of a process's log, for error messages."""
    if log is None:
        return "see above"
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1].strip() if lines else "no output"
