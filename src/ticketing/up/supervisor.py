"""Runs the parts of the platform as child processes: starts them, starts again what falls, ends them in order."""

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
from ticketing.up.child import LIFELINE, Child, Launch, describe_end

RESTART_SECONDS = 0.5
RESTART_SECONDS_MAX = 5.0
RAN_WELL_SECONDS = 10.0
"""A child that has run this long starts again without the delays that earlier falls have earned it."""
LOG_BYTES_MAX = 20_000_000
LOG_CHECK_SECONDS = 10.0
HURRIED_STEP_SECONDS = 1.0
TICK_SECONDS = 0.05


class Stopping(Exception):
    """Somebody asked us to stop while we waited for something else."""


@dataclass(slots=True)
class _Ending:
    """How far we are with one child that has to end."""

    child: Child
    steps: Iterator[tuple[Signals, float]]
    next_step_at: float = 0.0
    in_hurry: bool = False

    def is_due(self, hurry: bool) -> bool:
        return time.monotonic() >= self.next_step_at or hurry > self.in_hurry

    def take_next_step(self, hurry: bool) -> bool:
        step = next(self.steps, None)
        if step is None:
            return False
        number, seconds = step
        self.child.send(number)
        self.in_hurry = hurry
        self.next_step_at = time.monotonic() + (min(seconds, HURRIED_STEP_SECONDS) if hurry else seconds)
        return True


@dataclass
class Supervisor:
    """Everything happens in the thread that calls it, by polling: no state is shared, and signals only set a number."""

    tell: Callable[[str], None]
    on_end: Callable[[int], None] = lambda pid: None
    """Called with the process id of each child that has fallen."""
    follows_parent: bool = False
    """Stop as well when the process that started us is gone."""
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
        """A way to start one of our own programs, in a session of its own, so that Ctrl-C reaches only us."""

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
        """Starts a child and keeps it running from now on."""
        self.children.append(child)
        self._launch(child)

    def run(self) -> None:
        """Keeps the children running until somebody asks us to stop."""
        while not self.is_stopping:
            self._tick()
            time.sleep(TICK_SECONDS)

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Whether the condition came true in time; the children are looked after meanwhile. Raises Stopping."""
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
        """Runs a program to its end and gives its exit status; ends it when it takes longer. Raises Stopping."""
        process = child.process = child.launch()
        try:
            self.wait_until(lambda: process.poll() is not None, seconds)
        finally:
            self._end([child])
        return process.wait()

    def stop(self) -> None:
        """Ends all children, stage by stage. A second request to stop skips the polite part."""
        for stage in sorted({child.stage for child in self.children}):
            self._end([child for child in self.children if child.stage == stage])
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
            self._schedule(child, f"could not be started ({error})")

    def _tick(self) -> None:
        for child in self.children:
            if child.restart_at is not None:
                if time.monotonic() >= child.restart_at:
                    self._launch(child)
            elif child.process is not None and child.process.poll() is not None:
                self.on_end(child.process.pid)
                self._schedule(child, describe_end(child.process.returncode))
        self._bound_logs()

    def _schedule(self, child: Child, what: str) -> None:
        if time.monotonic() - child.started_at >= RAN_WELL_SECONDS:
            child.falls = 0
        delay = min(RESTART_SECONDS * 2.0**child.falls, RESTART_SECONDS_MAX)
        child.falls = min(child.falls + 1, 20)
        child.restart_at = time.monotonic() + delay
        where = f" Its log: {child.log}" if child.log else ""
        self.tell(f"{child.name} {what}; starting it again in {delay:g} s.{where}")

    def _end(self, children: list[Child]) -> None:
        """Ends children side by side: each goes through its own steps, faster when we are asked again."""
        endings = [_Ending(child, iter(child.stop_steps)) for child in children]
        while endings := [ending for ending in endings if ending.child.is_running]:
            hurry = self.stop_requests > 1
            for ending in endings:
                if ending.is_due(hurry) and not ending.take_next_step(hurry):
                    self.tell(f"{ending.child.name} does not end; leaving it behind.")
                    ending.child.process = None
            time.sleep(TICK_SECONDS / 2)

    def _bound_logs(self) -> None:
        """Puts a log aside that has grown too large. The children append, so emptying the file is safe."""
        if time.monotonic() - self._logs_checked_at < LOG_CHECK_SECONDS:
            return
        self._logs_checked_at = time.monotonic()
        for log in {child.log for child in self.children if child.log}:
            if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
                shutil.copyfile(log, log.with_suffix(".log.1"))
                os.truncate(log, 0)
