"""One supervised process: how it starts, which signals end it, and how it notices that its supervisor is gone."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals

LIFELINE = "TICKETING_LIFELINE"
"""The environment variable that names the inherited end of the supervisor's pipe."""
LIFELINE_GRACE_SECONDS = 2.0
"""The servers end with the supervisor too, so little can still be finished, and somebody waits to open it again."""

Launch = Callable[[], "subprocess.Popen[bytes]"]


@dataclass(slots=True)
class Child:
    """One supervised process. Children of a lower stage end before those of a higher one."""

    name: str
    launch: Launch
    stage: int = 0
    stop_steps: Sequence[tuple[Signals, float]] = ((SIGTERM, 15.0), (SIGKILL, 5.0))
    """Signals from polite to rude, each with the seconds it gets before the next one."""
    log: Path | None = None
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    restart_at: float | None = None
    falls: int = 0

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def send(self, number: Signals) -> None:
        """Sends a signal; the last one goes to everything that the child has started."""
        if self.process is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            if number == SIGKILL:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)


def describe_end(code: int) -> str:
    """How a process ended, for people: Popen gives a negative number for a signal."""
    if code >= 0:
        return f"ended with status {code}"
    try:
        return f"was ended by {Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def follow_supervisor() -> None:
    """Ends this process, gracefully first, when the supervisor that started it is gone, however it went.

    Only the supervisor holds the other end of the inherited pipe, so its end is the end of the file.
    """
    descriptor = os.environ.pop(LIFELINE, None)
    if descriptor is None:
        return

    def wait_for_the_end() -> None:
        with suppress(OSError):
            os.read(int(descriptor), 1)
        os.kill(os.getpid(), SIGTERM)
        time.sleep(LIFELINE_GRACE_SECONDS)
        os._exit(1)

    threading.Thread(target=wait_for_the_end, name="lifeline", daemon=True).start()
