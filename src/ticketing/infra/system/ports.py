"""Listen on a port, find a free one, and find the process that occupies one."""

import errno
import random
import shutil
import socket
import subprocess
from pathlib import Path

from ticketing.infra.system.processes import EmbeddedError

LISTENING = "0A"
"""The state of a listening socket in /proc/net/tcp."""


class CannotListen(Exception):
    """Listening failed; the text says why, and names the process that occupies the port if it can be found."""


def free_port() -> int:
    """Find a free loopback port below the range of outgoing connections, so that it stays free."""
    for _ in range(200):
        port = random.randint(20_000, 29_999)
        try:
            listen("127.0.0.1", port).close()
        except CannotListen:
            continue
        return port
    raise EmbeddedError("No free port between 20000 and 29999 on 127.0.0.1.")


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket, from which any number of processes may accept. Raises CannotListen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        reason = f"is taken{_by_process(port)}" if error.errno == errno.EADDRINUSE else f"on {host}: {error.strerror}"
        raise CannotListen(f"Port {port} {reason}; choose another with --port or PORT.") from None
    return listener


def _by_process(port: int) -> str:
    owner = _owner_from_proc(port) if Path("/proc/net/tcp").exists() else _owner_from_lsof(port)
    return f" by {owner[1]} (process {owner[0]})" if owner else ""


def _owner_from_proc(port: int) -> tuple[int, str] | None:
    wanted = {f"socket:[{inode}]" for table in ("tcp", "tcp6") for inode in _listening_inodes(table, port)}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(link.readlink()) in wanted for link in (process / "fd").iterdir()):
                return int(process.name), (process / "comm").read_text().strip()
        except OSError:  # the process has ended meanwhile, or belongs to another user
            continue
    return None


def _listening_inodes(table: str, port: int) -> list[str]:
    try:
        rows = [line.split() for line in Path("/proc/net", table).read_text().splitlines()[1:]]
    except OSError:
        return []
    return [row[9] for row in rows if row[3] == LISTENING and int(row[1].rpartition(":")[2], 16) == port]


def _owner_from_lsof(port: int) -> tuple[int, str] | None:
    program = shutil.which("lsof")
    if program is None:
        return None
    command = [program, "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    fields = {line[0]: line[1:] for line in result.stdout.splitlines() if line}
    return (int(fields["p"]), fields["c"]) if {"p", "c"} <= fields.keys() else None
