"""Who holds a lease: a name from which another process of this machine can tell that its owner is dead.

What is told here is only ever "dead for certain". A process that is stopped, that belongs to another machine or another
container, or that can't be seen is not dead, and its lease runs out by itself.
"""

import os
import socket
from functools import cache
from hashlib import blake2b
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PIDS = Path("/proc/self/ns/pid")
#: In /proc/<pid>/stat, behind the name in brackets: the state, and when the process was started, in ticks since boot.
_STATE, _STARTED = 0, 19
_DEAD = {"Z", "X"}


def this_process() -> str:
    """`host:pid:machine:start`, where there is a /proc; `host:pid` elsewhere, of which nobody ever says it is dead."""
    name = f"{socket.gethostname()}:{os.getpid()}"
    stat = _stat(os.getpid())
    return f"{name}:{_machine()}:{stat[_STARTED]}" if stat and _machine() else name


def is_dead(owner: str) -> bool:
    """Whether this was a process of this machine since it was started, and is one no more."""
    match owner.split(":"):
        case [_, pid, machine, started, *_] if pid.isdecimal() and machine and machine == _machine():
            return _is_gone(int(pid), started)
    return False


def _is_gone(pid: int, started: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:  # somebody else's, but there
        pass
    stat = _stat(pid)
    # Killed and not yet collected by its parent; or the number is somebody else's by now.
    return stat is not None and (stat[_STATE] in _DEAD or stat[_STARTED] != started)


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


@cache
def _machine() -> str:
    """This start of this kernel, and what its process numbers count from here: a container has its own."""
    try:
        seen = f"{_BOOT.read_text().strip()} {_PIDS.stat().st_ino}"
    except OSError:
        return ""
    return blake2b(seen.encode(), digest_size=6).hexdigest()
