"""What embedded servers have in common: one owner, a start that waits, and a stop that leaves no process behind."""

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
"""A server log larger than this is rotated at the next start; one older file is kept."""


def wheel_folder(package: str) -> Path:
    """The folder of a wheel's files, found without importing it: such packages run code when they are imported."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise EmbeddedError(
            f"The package {package} has no build for this machine (glibc Linux and macOS have one): "
            "set DATABASE_URL and REDIS_URL to your own servers."
        )
    return Path(spec.origin).parent


class EmbeddedServer(ABC):
    """One server process that keeps its files in one folder.

    Two locks guard it. `lock` is held by this process: a second launcher is refused at once. `server.lock` is inherited
    by the server and by its child processes: after a launcher has been killed, the next one waits until the last of
    them has ended, instead of relying on process ids, which may have been reused.
    """

    title: ClassVar[str]
    stop_steps: ClassVar[tuple[tuple[Signals, float], ...]]
    """Signals from graceful to forced, each with the seconds to wait before the next one."""
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
        """Prepare, launch and wait until the server is ready. Raises EmbeddedError, and stops the server then."""
        try:
            self.prepare()
            self.launch()
            self.wait_until_ready(timeout_seconds)
        except BaseException:
            self.stop()
            raise
        return self

    def prepare(self) -> None:
        """Do the slow work that precedes the process. May run in any thread."""
        self.base.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._lock is None:
            self._lock = claim_folder(self.base)
        self._prepare()

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process, or restart it. Call it from a long-lived thread (see `dying_with_parent`)."""
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
        self._start_guard()
        return self.process

    def check_ready(self) -> bool:
        """Whether the server is ready. Raises EmbeddedError when it has ended."""
        if self.process is None or self.process.poll() is not None:
            raise EmbeddedError(f"{self.title} ended at once ({self._last_log_line()}); its log is {self.log_path}.")
        return self._is_ready()

    def wait_until_ready(self, timeout_seconds: float = 60) -> None:
        """Wait until the server is ready. Raises EmbeddedError when it ends first or takes longer."""
        if not wait_for(self.check_ready, timeout_seconds):
            raise EmbeddedError(f"{self.title} was not ready in {timeout_seconds:g} s; its log is {self.log_path}.")

    def stop(self) -> None:
        """Stop the process, gracefully first, and release the folder. Does nothing when nothing is running."""
        for signal, seconds in self.stop_steps:
            if self.process is None or self._has_ended():
                break
            self.process.send_signal(signal)
            wait_for(self._has_ended, seconds)
        self._stop_guard()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def _stop_guard(self) -> None:
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _lock_files(self) -> int:
        """Take the lock that the server inherits. First stops a server whose launcher has been killed."""
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
        raise EmbeddedError(f"An older {self.title} still uses {self.base} and does not end: stop it by hand.")

    def _signal_orphan(self, signal: Signals) -> None:
        # The pid is valid here: the held lock proves that the server, which wrote it, or a child of it is running. If
        # only a child is left, waiting for the lock is enough.
        try:
            os.kill(int(self.pid_file.read_text().split()[0]), signal)
        except (OSError, ValueError, IndexError):
            return

    def _open_log(self) -> BinaryIO:
        if self.log_path.exists() and self.log_path.stat().st_size > LOG_BYTES_KEPT:
            self.log_path.rename(self.log_path.with_suffix(".log.1"))
        return self.log_path.open("ab")

    def _last_log_line(self) -> str:
        lines = self.log_path.read_text(errors="replace").strip().splitlines()[-20:]
        fatal = [line for line in lines if "FATAL" in line or "PANIC" in line]
        return (fatal or lines or ["without a message"])[-1].strip()

    def _start_guard(self) -> None:
        """Without a parent-death signal, run a shell that waits for the end of a pipe that this process holds open."""
        if dying_with_parent(self.parent_death_signal) or self.process is None:
            return
        self._stop_guard()
        self._guard = subprocess.Popen(  # a fixed script
            ["/bin/sh", "-c", 'read -r _; kill -s "$1" "$2"', "guard", self.parent_death_signal, str(self.process.pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )


HARD_STOP: tuple[tuple[Signals, float], ...] = ((SIGKILL, 5.0),)
