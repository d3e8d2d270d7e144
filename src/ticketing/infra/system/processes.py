"""Own a folder with a lock, keep secrets in it, and start processes that do not outlive this one."""

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path


class EmbeddedError(RuntimeError):
    """An embedded server cannot run here; the text says in one sentence why, and what to do."""


def private_secret(path: Path) -> str:
    """Return the random secret in this file, generated on first use and readable by its owner only."""
    if not path.exists():
        draft = path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
        draft.rename(path)
    return path.read_text().strip()


def dying_with_parent(signal: str) -> list[str]:
    """A command prefix (Linux) with which the kernel sends this signal when the thread that started the process ends.

    The *thread*, not the process: start such commands from a thread that lives as long as the process.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", signal, "--"] if setpriv else []


def try_lock(path: Path) -> int | None:
    """Lock a file; the open file descriptor that holds the lock, or None when another process holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def claim_folder(folder: Path) -> int:
    """Make this process the only owner of a folder until it closes the descriptor or ends. Raises EmbeddedError."""
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
    """Poll until the condition is true; False when it was not within this many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
