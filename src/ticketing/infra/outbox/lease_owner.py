"""Names of lease owners, from which another process of the same machine can tell that the owner is dead.

A process that is stopped, that runs on another machine or in another container, or that can't be inspected is not
reported as dead: its lease runs out instead.
"""

import os
import socket
from functools import cache
from hashlib import blake2b
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE = Path("/proc/self/ns/pid")
#: Fields of /proc/<pid>/stat after the name in brackets: the state, and the start time in clock ticks since boot.
_STATE, _STARTED = 0, 19
_DEAD = {"Z", "X"}


def this_process() -> str:
    """`host:pid:machine:start`; without /proc `host:pid`, which `is_dead` never reports."""
    name = f"{socket.gethostname()}:{os.getpid()}"
    stat = _stat(os.getpid())
    return f"{name}:{_machine()}:{stat[_STARTED]}" if stat and _machine() else name


def is_dead(owner: str) -> bool:
    """Whether this was a process of this machine, since its last boot, that has ended."""
    match owner.split(":"):
        case [_, pid, machine, started, *_] if pid.isdecimal() and machine and machine == _machine():
            return _has_ended(int(pid), started)
    return False


def _has_ended(pid: int, started: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:  # it exists, and belongs to another user
        pass
    stat = _stat(pid)
    # Killed and not yet reaped by its parent; or the pid was reused by another process.
    return stat is not None and (stat[_STATE] in _DEAD or stat[_STARTED] != started)


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


@cache
def _machine() -> str:
    """Identifies this boot of this kernel and the pid namespace: a container has its own."""
    try:
        seen = f"{_BOOT_ID.read_text().strip()} {_PID_NAMESPACE.stat().st_ino}"
    except OSError:
        return ""
    return blake2b(seen.encode(), digest_size=6).hexdigest()
