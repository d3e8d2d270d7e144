"""Locks, secrets and lifelines: what it takes to own a folder and to start processes that do not outlive us."""

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path


class EmbeddedError(RuntimeError):
    """An embedded server cannot run here; the text is one sentence that says why and what to do."""


def private_secret(path: Path) -> str:
    """The random secret kept in this file, made on first use, readable by its owner only."""
    if not path.exists():
        draft = path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
        draft.rename(path)
    return path.read_text().strip()


def dying_with_parent(signal: str) -> list[str]:
    """A command prefix (Linux): the kernel sends this signal when the thread that started the process is gone.

    The *thread*, not the process: start such commands from a thread that lives as long as the process.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", signal, "--"] if setpriv else []


def try_lock(path: Path) -> int | None:
    """An open file descriptor that holds this lock file, or None when somebody else holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def claim_folder(folder: Path) -> int:
    """Makes this process the only owner of a folder until it closes the descriptor or dies. Raises EmbeddedError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lock"
    descriptor = try_lock(path)
    if descriptor is None:
        owner = path.read_text().strip() or "unknown"
        raise EmbeddedError(f"{folder} is in use by process {owner}: stop it, or choose another folder with DATA_DIR.")
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition came true within this many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
