"""What every embedded server has in common: one owner, a start that waits, an end that leaves nothing running."""

import importlib.util
import os
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from signal import SIGKILL, Signals
from types import TracebackType
from typing import Any, BinaryIO, ClassVar, Self

from ticketing.infra.system.processes import EmbeddedError, claim_folder, dying_with_parent, try_lock, wait_for

LOG_BYTES_KEPT = 5_000_000
"""A server's log that has grown past this is put aside at the next start, and the one before it is dropped."""


def wheel_folder(package: str) -> Path:
    """Where a wheel has put its files. Found without importing it, because such packages start things when imported."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise EmbeddedError(
            f"The package {package} has no build for this machine (glibc Linux and macOS have one): "
            "set DATABASE_URL and REDIS_URL to servers of your own."
        )
    return Path(spec.origin).parent


class EmbeddedServer(ABC):
    """One server process that keeps its files in one folder.

    Two locks. `lock` is held by this process: a second launcher is refused at once. `server.lock` is inherited by the
    server and by all that it forks: when the launcher has been killed, the next one waits until the last of them has
    left the files, instead of guessing from process ids that may belong to somebody else by now.
    """

    title: ClassVar[str]
    stop_steps: ClassVar[tuple[tuple[Signals, float], ...]]
    """Signals from polite to rude, each with the seconds it gets before the next one."""
    parent_death_signal: ClassVar[str]

    def __init__(self, base: Path | str) -> None:
        self.base = Path(base).resolve()
        self.process: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def _prepare(self) -> None: ...
    @abstractmethod
    def _command(self) -> list[str]: ...
    @abstractmethod
    def _is_ready(self) -> bool: ...
    @property
    @abstractmethod
    def pid_file(self) -> Path: ...

    def _prefix(self) -> list[str]:
        return []

    def _popen_options(self) -> Mapping[str, Any]:
        return {}

    @property
    def log_path(self) -> Path:
        return self.base / f"{self.title.lower()}.log"

    def start(self, timeout_seconds: float = 60) -> Self:
        """Prepares, launches and waits. Raises EmbeddedError; then nothing is left running."""
        try:
            self.prepare()
            self.launch()
            self.wait_until_ready(timeout_seconds)
        except BaseException:
            self.stop()
            raise
        return self

    def prepare(self) -> None:
        """Everything slow that comes before the process; may run in any thread."""
        self.base.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._lock is None:
            self._lock = claim_folder(self.base)
        self._prepare()

    def launch(self) -> subprocess.Popen[bytes]:
        """Starts the process, again if need be. Call it from a thread that stays (see dying_with_parent)."""
        server_lock = self._lock_files()
        try:
            self.pid_file.unlink(missing_ok=True)
            with self._open_log() as log:
                self.process = subprocess.Popen(
                    [*self._prefix(), *dying_with_parent(self.parent_death_signal), *self._command()],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                    cwd="/",
                    start_new_session=True,
                    pass_fds=(server_lock,),
                    **self._popen_options(),
                )
        finally:
            os.close(server_lock)
        self._watch_over()
        return self.process

    def check_ready(self) -> bool:
        """Whether the server answers. Raises EmbeddedError when it has ended instead."""
        if self.process is None or self.process.poll() is not None:
            raise EmbeddedError(f"{self.title} ended at once ({self._last_words()}); its log is {self.log_path}.")
        return self._is_ready()

    def wait_until_ready(self, timeout_seconds: float = 60) -> None:
        """Returns when the server answers. Raises EmbeddedError when it ends first or takes longer."""
        if not wait_for(self.check_ready, timeout_seconds):
            raise EmbeddedError(f"{self.title} was not ready in {timeout_seconds:g} s; its log is {self.log_path}.")

    def stop(self) -> None:
        """Ends the process, politely first, and gives up the folder. Does nothing when there is nothing to stop."""
        for signal, seconds in self.stop_steps:
            if self.process is None or self._has_ended():
                break
            self.process.send_signal(signal)
            wait_for(self._has_ended, seconds)
        self._dismiss_guard()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def _dismiss_guard(self) -> None:
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _lock_files(self) -> int:
        """The lock that the server inherits; first ends a server whose launcher has been killed."""
        path = self.base / "server.lock"
        for signal, seconds in ((None, 0.0), *self.stop_steps):
            if signal is not None:
                self._signal_orphan(signal)
            end = time.monotonic() + seconds
            while True:
                if (descriptor := try_lock(path)) is not None:
                    return descriptor
                if time.monotonic() > end:
                    break
                time.sleep(0.02)
        raise EmbeddedError(f"An older {self.title} still uses {self.base} and does not end: end it by hand.")

    def _signal_orphan(self, signal: Signals) -> None:
        # The pid can be trusted here: the lock says that the server, which wrote it, or a child of it, is still alive.
        # A dead server with a child that lives a moment longer is met by the waiting alone.
        try:
            os.kill(int(self.pid_file.read_text().split()[0]), signal)
        except (OSError, ValueError, IndexError):
            return

    def _open_log(self) -> BinaryIO:
        if self.log_path.exists() and self.log_path.stat().st_size > LOG_BYTES_KEPT:
            self.log_path.rename(self.log_path.with_suffix(".log.1"))
        return self.log_path.open("ab")

    def _last_words(self) -> str:
        lines = self.log_path.read_text(errors="replace").strip().splitlines()[-20:]
        fatal = [line for line in lines if "FATAL" in line or "PANIC" in line]
        return (fatal or lines or ["without a word"])[-1].strip()

    def _watch_over(self) -> None:
        """Where the kernel has no parent-death signal, a shell waits for the end of a pipe that only we hold open."""
        if dying_with_parent(self.parent_death_signal) or self.process is None:
            return
        self._dismiss_guard()
        self._guard = subprocess.Popen(  # a fixed script
            ["/bin/sh", "-c", 'read -r _; kill -s "$1" "$2"', "guard", self.parent_death_signal, str(self.process.pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )


HARD_STOP: tuple[tuple[Signals, float], ...] = ((SIGKILL, 5.0),)
