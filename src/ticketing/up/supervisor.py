"""Runs the processes of the platform: starts them, restarts those that fail, and stops them in order."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import Signals
from types import FrameType

from ticketing.infra.system.processes import dying_with_parent
from ticketing.up.child import LIFELINE, Child, Launch, describe_exit

RESTART_SECONDS = 0.5
RESTART_SECONDS_MAX = 5.0
#: After running this long, a child restarts without the back-off of its earlier failures.
RAN_WELL_SECONDS = 10.0
LOG_BYTES_MAX = 20_000_000
LOG_CHECK_SECONDS = 10.0
HURRIED_STEP_SECONDS = 1.0
TICK_SECONDS = 0.05


class StartFailed(Exception):
    """The platform cannot start; the text is one sentence with the reason and where to read more."""


class Stopping(Exception):
    """A stop was requested while the supervisor waited for something else."""


@dataclass(slots=True)
class _StoppingChild:
    """A child that is being stopped, and the signals that are left to send."""

    child: Child
    steps: Iterator[tuple[Signals, float]]
    next_step_at: float = 0.0
    is_hurried: bool = False

    def is_due(self, hurry: bool) -> bool:
        return time.monotonic() >= self.next_step_at or hurry > self.is_hurried

    def take_next_step(self, hurry: bool) -> bool:
        step = next(self.steps, None)
        if step is None:
            return False
        number, seconds = step
        self.child.send(number)
        self.is_hurried = hurry
        self.next_step_at = time.monotonic() + (min(seconds, HURRIED_STEP_SECONDS) if hurry else seconds)
        return True


@dataclass
class Supervisor:
    """Polls in the thread that calls it, so no state is shared between threads; a signal only increments a counter."""

    warn: Callable[[str], None]
    #: Called with the process ID of each child that has failed.
    on_failure: Callable[[int], None] = lambda pid: None
    #: Also stop when the parent process ends.
    follows_parent: bool = False
    children: list[Child] = field(default_factory=list)
    stop_requests: int = 0
    _logs_checked_at: float = 0.0

    def __post_init__(self) -> None:
        self._lifeline, self._lifeline_end = os.pipe()
        self._parent = os.getppid()

    def handle_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._request_stop)

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        self.stop_requests += 1

    @property
    def is_stopping(self) -> bool:
        return self.stop_requests > 0 or (self.follows_parent and os.getppid() != self._parent)

    def command(
        self, arguments: Sequence[str], environment: dict[str, str], log: Path | None, pass_fds: Iterable[int] = ()
    ) -> Launch:
        """A launcher for a program of the platform, in its own session, so that Ctrl-C reaches only the supervisor."""

        def launch() -> "subprocess.Popen[bytes]":
            output = log.open("ab") if log else None
            try:
                return subprocess.Popen(
                    [*dying_with_parent("TERM"), *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env={**environment, LIFELINE: str(self._lifeline)},
                    start_new_session=True,
                    pass_fds=(self._lifeline, *pass_fds),
                )
            finally:
                if output:
                    output.close()

        return launch

    def start(self, child: Child) -> None:
        """Start a child, and restart it whenever it fails."""
        self.children.append(child)
        self._launch(child)

    def run(self) -> None:
        """Keep the children running until a stop is requested."""
        while not self.is_stopping:
            self._tick()
            time.sleep(TICK_SECONDS)

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Supervise until the condition is true. Returns False on timeout. Raises Stopping."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self.is_stopping:
                raise Stopping
            if time.monotonic() > deadline:
                return False
            self._tick()
            time.sleep(TICK_SECONDS)
        return True

    def run_once(self, child: Child, seconds: float) -> int:
        """Run a program and return its exit status; stop it on timeout. Raises Stopping."""
        process = child.process = child.launch()
        try:
            self.wait_until(lambda: process.poll() is not None, seconds)
        finally:
            self._stop([child])
        return process.wait()

    def stop(self) -> None:
        """Stop all children in their order. After a second request to stop, each signal gets 1 s at most."""
        for order in sorted({child.stop_order for child in self.children}):
            self._stop([child for child in self.children if child.stop_order == order])
        self.children.clear()
        os.close(self._lifeline)
        os.close(self._lifeline_end)

    def _launch(self, child: Child) -> None:
        child.restart_at = None
        child.started_at = time.monotonic()
        child.process = None
        try:
            child.process = child.launch()
        except (OSError, RuntimeError) as error:
            self._schedule_restart(child, f"could not be started ({error})")

    def _tick(self) -> None:
        for child in self.children:
            if child.restart_at is not None:
                if time.monotonic() >= child.restart_at:
                    self._launch(child)
            elif child.process is not None and child.process.poll() is not None:
                self.on_failure(child.process.pid)
                self._schedule_restart(child, describe_exit(child.process.returncode))
        self._rotate_logs()

    def _schedule_restart(self, child: Child, what: str) -> None:
        if time.monotonic() - child.started_at >= RAN_WELL_SECONDS:
            child.failures = 0
        delay = min(RESTART_SECONDS * 2.0**child.failures, RESTART_SECONDS_MAX)
        child.failures = min(child.failures + 1, 20)
        child.restart_at = time.monotonic() + delay
        where = f" Log: {child.log}" if child.log else ""
        self.warn(f"{child.name} {what}; restarting in {delay:g} s.{where}")

    def _stop(self, children: list[Child]) -> None:
        """Stop children concurrently: each gets its own signals, at shorter intervals after a second request."""
        stopping = [_StoppingChild(child, iter(child.stop_steps)) for child in children]
        while stopping := [each for each in stopping if each.child.is_running]:
            hurry = self.stop_requests > 1
            for each in stopping:
                if each.is_due(hurry) and not each.take_next_step(hurry):
                    self.warn(f"{each.child.name} does not stop, and is left running.")
                    each.child.process = None
            time.sleep(TICK_SECONDS / 2)

    def _rotate_logs(self) -> None:
        """Copy a log that has grown too large to `.log.1`, and truncate it: safe, because the children append."""
        if time.monotonic() - self._logs_checked_at < LOG_CHECK_SECONDS:
            return
        self._logs_checked_at = time.monotonic()
        for log in {child.log for child in self.children if child.log}:
            if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
                shutil.copyfile(log, log.with_suffix(".log.1"))
                os.truncate(log, 0)
