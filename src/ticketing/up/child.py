"""One supervised process: how it starts, which signals stop it, and how it notices the end of its supervisor."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals

#: The environment variable with the file descriptor of the supervisor's pipe, which its children inherit.
LIFELINE = "TICKETING_LIFELINE"
#: Time between SIGTERM and exit of an orphaned process. The database servers stop with the supervisor as well, so there
#: is little that could still finish, and a restarted supervisor waits for the ports and files.
LIFELINE_GRACE_SECONDS = 2.0

Launch = Callable[[], "subprocess.Popen[bytes]"]


@dataclass(slots=True)
class Child:
    """One supervised process."""

    name: str
    launch: Launch
    #: Children with a lower number stop first; those with the same number stop together.
    stop_order: int = 0
    #: Signals from graceful to forced, each with the seconds until the next one.
    stop_steps: Sequence[tuple[Signals, float]] = ((SIGTERM, 15.0), (SIGKILL, 5.0))
    log: Path | None = None
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    restart_at: float | None = None
    failures: int = 0

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def send(self, number: Signals) -> None:
        """Send a signal to the process. SIGKILL goes to its whole process group."""
        if self.process is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            if number == SIGKILL:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)


def describe_exit(code: int) -> str:
    """How a process ended. A negative code, as of `Popen.returncode`, is the number of a signal."""
    if code >= 0:
        return f"exited with status {code}"
    try:
        return f"was ended by {Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def follow_supervisor() -> None:
    """Stop this process, gracefully at first, when its supervisor ends for any reason.

    Only the supervisor holds the write end of the inherited pipe, so a read returns when the supervisor has ended.
    """
    descriptor = os.environ.pop(LIFELINE, None)
    if descriptor is None:
        return

    def stop_at_end_of_file() -> None:
        with suppress(OSError):
            os.read(int(descriptor), 1)
        os.kill(os.getpid(), SIGTERM)
        time.sleep(LIFELINE_GRACE_SECONDS)
        os._exit(1)

    threading.Thread(target=stop_at_end_of_file, name="lifeline", daemon=True).start()
