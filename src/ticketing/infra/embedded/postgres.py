"""PostgreSQL from a wheel: durable, on TCP at 127.0.0.1 with a password, started by root or any other user."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from signal import SIGINT, SIGQUIT, Signals
from typing import Any, ClassVar

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Identifier

from ticketing.infra.config import ConfigurationError
from ticketing.infra.embedded import ownership
from ticketing.infra.embedded.run_as import Identity, choose_identity, hand_over, programs_for
from ticketing.infra.embedded.server import HARD_STOP, EmbeddedServer
from ticketing.infra.system.ports import free_port
from ticketing.infra.system.processes import EmbeddedError, dying_with_parent, private_secret

SUPERUSER = "postgres"
OWNER = "ticketing_owner"
"""The role that owns the tables and runs migrations; see ownership.py."""
APPLICATION, WORKER = "ticketing_app", "ticketing_worker"
"""The roles of the running system, for requests and for workers; see db/roles.py."""

SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",  # solid-state disks
    "jit": "off",  # compiling costs more than short statements take
    "log_timezone": "UTC",
    "log_error_verbosity": "terse",  # without DETAIL, which contains the refused row
    "timezone": "UTC",
}


def running_url(base: Path, database: str) -> str:
    """The URL, as the owner, of a database of the server that another process runs on this folder.

    Raises:
        ConfigurationError: no server runs there.
    """
    postgres = EmbeddedPostgres(base)
    try:
        postgres.port = int(postgres.pid_file.read_text().splitlines()[3])
    except (OSError, IndexError, ValueError):
        raise ConfigurationError(f"DATABASE_URL: must name a database; none runs in {base}") from None
    return postgres.url(database, OWNER)


class EmbeddedPostgres(EmbeddedServer):
    """`with EmbeddedPostgres(folder) as postgres: postgres.url("ticketing")`.

    `settings` are added to SETTINGS, by their names in postgresql.conf; tests may pass `{"fsync": "off"}`.
    """

    title = "PostgreSQL"
    # SIGINT: fast shutdown. SIGTERM would wait for all clients to disconnect. SIGQUIT: recovery at the next start.
    stop_steps: ClassVar[tuple[tuple[Signals, float], ...]] = ((SIGINT, 30.0), (SIGQUIT, 5.0), *HARD_STOP)
    parent_death_signal = "INT"

    def __init__(self, base: Path | str, settings: Mapping[str, str] | None = None, port: int = 0) -> None:
        super().__init__(base)
        self.port = port
        self.settings = {**SETTINGS, **(settings or {})}
        self.data = self.base / "data"
        self._identity = Identity()
        self._programs = Path()

    @property
    def pid_file(self) -> Path:
        return self.data / "postmaster.pid"

    def password(self, role: str = SUPERUSER) -> str:
        return private_secret(self.base / ("password" if role == SUPERUSER else f"password-{role}"))

    def url(self, database: str = "postgres", role: str = SUPERUSER) -> str:
        """The SQLAlchemy URL of a database, as the superuser unless another role is named."""
        return f"postgresql+psycopg://{role}:{self.password(role)}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str, template: str = "template1") -> None:
        """Create a database unless it exists."""
        with self._connect("postgres") as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
                # Copying through the write-ahead log, the default, takes twice as long.
                create = SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
                connection.execute(create.format(Identifier(name), Identifier(template)))

    def hand_to_owner(self, name: str) -> None:
        """Let OWNER own a database and everything in it."""
        with self._connect(name) as connection, connection.transaction():
            ownership.create_owner(connection, OWNER, self.password(OWNER))
            ownership.hand_over(connection, OWNER)

    def drop_database(self, name: str) -> None:
        """Drop a database, if it exists, and disconnect its clients."""
        with self._connect("postgres") as connection:
            connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))

    def _connect(self, database: str) -> Connection:
        return psycopg.connect(self.url(database).replace("+psycopg", ""), autocommit=True)

    def _prepare(self) -> None:
        self.password()  # written before the files are handed over
        self._identity = choose_identity(self.base, self.data)
        self._programs = programs_for(self._identity, self.base)
        if not self.data.exists():
            self._initialise()
        self.port = self.port or free_port()

    def _initialise(self) -> None:
        # In a temporary folder, renamed when complete: an interrupted initdb leaves no half-made cluster behind.
        draft = self.base / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        hand_over(draft, self._identity)
        command = [str(self._programs / "initdb"), "--pgdata", str(draft), "--username", SUPERUSER]
        command += ["--auth", "scram-sha-256", "--pwfile", str(self.base / "password"), "--encoding", "UTF8"]
        command += ["--locale-provider", "builtin", "--locale", "C.UTF-8", "--no-instructions"]
        if self.settings.get("fsync") == "off":
            command.append("--no-sync")
        result = subprocess.run(
            [*self._identity.prefix, *dying_with_parent("KILL"), *command],
            capture_output=True,
            text=True,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            cwd="/",
            check=False,
            **self._identity.popen_options(),
        )
        if result.returncode != 0:
            last_line = (result.stderr.strip().splitlines() or ["no message"])[-1]
            raise EmbeddedError(f"PostgreSQL could not create its files in {self.base} ({last_line}).")
        draft.rename(self.data)

    def _command(self) -> list[str]:
        # The addresses come last, so that no additional setting opens it to the network.
        settings = {**self.settings, "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self._programs / "postgres"), "-D", str(self.data), "-p", str(self.port), *options]

    def _prefix(self) -> list[str]:
        return list(self._identity.prefix)

    def _popen_options(self) -> Mapping[str, Any]:
        return self._identity.popen_options()

    def _is_ready(self) -> bool:
        # A killed server leaves this file behind: without the pid, its "ready" would be taken for this server's.
        try:
            lines = self.pid_file.read_text().splitlines()
            return self.process is not None and int(lines[0]) == self.process.pid and lines[7].strip() == "ready"
        except (OSError, IndexError, ValueError):
            return False
