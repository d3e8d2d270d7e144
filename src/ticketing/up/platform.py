"""Starts the whole platform on one machine, keeps it running, and stops it: `ticketing up`."""

import http.client
import os
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from prometheus_client.multiprocess import mark_process_dead

from ticketing.infra.config import ConfigurationError, Settings
from ticketing.infra.config.local_secrets import missing_secrets
from ticketing.infra.db import schema
from ticketing.infra.embedded import EmbeddedServer
from ticketing.infra.embedded.postgres import APPLICATION, OWNER, WORKER, EmbeddedPostgres
from ticketing.infra.embedded.valkey import EmbeddedValkey
from ticketing.infra.system.ports import listen
from ticketing.infra.system.processes import claim_folder
from ticketing.up.child import Child
from ticketing.up.supervisor import StartFailed, Stopping, Supervisor
from ticketing.up.terminal import Terminal, last_line

DATABASE = "ticketing"
#: The order in which processes stop: clients before the servers that they use.
API, WORKERS, VALKEY, POSTGRES = range(4)
SERVER_SECONDS = 90
MIGRATION_SECONDS = 300
READY_SECONDS = 60
DEMO_SECONDS = 300
#: The processes that selling a ticket requires.
FIRST = ("api-1", "relay", "consumers")
#: A process that has failed this often before the platform was ready is treated as broken.
START_FAILURES_MAX = 3


@dataclass(frozen=True)
class Options:
    """The options of `ticketing up`."""

    host: str
    workers: int
    demo: bool
    verbose: bool
    with_parent: bool


class Platform:
    """The platform on this machine, and the supervisor of its processes."""

    def __init__(self, settings: Settings, options: Options) -> None:
        self.settings = settings
        self.options = options
        self.folder = settings.data_dir.resolve()
        self.logs = self.folder / "logs"
        self.metrics = self.folder / "run" / "metrics"
        self.terminal = Terminal(self.logs / "up.log")
        self.supervisor = Supervisor(self.terminal.warn, self._remove_gauges, follows_parent=options.with_parent)
        self.environment = dict(os.environ)
        self.servers: list[EmbeddedServer] = []
        self.demo_accounts = ""

    def run(self) -> None:
        """Start the platform, and return when a stop was requested and every process has ended.

        Raises:
            StartFailed, EmbeddedError, CannotListen, ConfigurationError: each with one sentence.
        """
        begun = time.monotonic()
        with ExitStack() as cleanup:
            self.listener = cleanup.enter_context(listen(self.options.host, self.settings.port))
            cleanup.callback(os.close, self._lock_folder())
            self.supervisor.handle_signals()
            cleanup.callback(self._stop)
            with suppress(Stopping):
                self._start()
                self._print_summary(time.monotonic() - begun)
                self.supervisor.run()

    def _start(self) -> None:
        # Files of this process and its children are readable by this user only: the logs name people and accounts.
        os.umask(0o077)
        self.terminal.say(f"Starting Ticketing; its data is in {self.folder}")
        self._prepare_folder()
        self._start_servers()
        with self.terminal.step("schema up to date"):
            self._migrate()
        with self.terminal.step(f"API x {self.options.workers}, {', '.join(self._worker_names())}"):
            self._start_processes()
        if self.options.demo:
            self._seed_demo()

    def _migrate(self) -> None:
        if not self._is_migrated():
            self._run_once("migrate", MIGRATION_SECONDS, "The database schema could not be upgraded")

    def _is_migrated(self) -> bool:
        """Whether the embedded server has the current schema, as on most starts: checking is faster than migrating."""
        urls = self.environment
        return not self.settings.database_url and schema.is_up_to_date(
            urls["MIGRATION_DATABASE_URL"],
            {urls["DATABASE_URL"]: schema.REQUESTS, urls["WORKER_DATABASE_URL"]: schema.WORKERS},
        )

    def _seed_demo(self) -> None:
        with self.terminal.step("demo"):
            try:
                self._run_once("seed", DEMO_SECONDS, "The demo could not be created", "--base-url", self._address())
            except StartFailed as error:  # the platform runs without the demo
                self.terminal.warn(str(error))
            else:
                self.demo_accounts = (self.logs / "seed.log").read_text().strip()

    def _lock_folder(self) -> int:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if os.geteuid() == 0:  # PostgreSQL then runs as nobody and must reach its own folder, and sees no other
                self.folder.chmod(0o711)
            return claim_folder(self.folder)
        except OSError as error:
            raise ConfigurationError(f"DATA_DIR: {self.folder} cannot be used ({error.strerror})") from None

    def _prepare_folder(self) -> None:
        self.logs.mkdir(exist_ok=True)
        shutil.rmtree(self.metrics, ignore_errors=True)
        self.metrics.mkdir(parents=True)
        self.environment |= missing_secrets(self.settings, self.folder / "secrets.env")
        self.environment |= {"DATA_DIR": str(self.folder), "PORT": str(self.settings.port)}
        self.environment |= {"PROMETHEUS_MULTIPROC_DIR": str(self.metrics), "PYTHONUNBUFFERED": "1"}
        # The processes would all listen on the same port; instead, /metrics of the API aggregates their metrics.
        self.environment["METRICS_PORT"] = ""
        # There is no load balancer between its processes: they share a socket, which the next one continues to serve.
        self.environment["SHUTDOWN_DRAIN_SECONDS"] = "0"
        if self.options.verbose and sys.stdout.isatty():
            self.environment.setdefault("LOG_FORMAT", "console")

    def _start_servers(self) -> None:
        """Start the embedded servers, concurrently, except those replaced by DATABASE_URL or REDIS_URL."""
        postgres = None if self.settings.database_url else EmbeddedPostgres(self.folder / "postgres")
        valkey = None if self.settings.redis_url else EmbeddedValkey(self.folder / "valkey")
        self.servers = [server for server in (postgres, valkey) if server]
        if not self.servers:
            return
        with self.terminal.step(" and ".join(server.title for server in self.servers)):
            self._prepare_servers()
            self._launch_servers()
            if postgres:
                self._use_postgres(postgres)
            if valkey:
                self.environment["REDIS_URL"] = valkey.url()

    def _prepare_servers(self) -> None:
        # Only the preparation may run in threads: the kernel ends a server with the thread that has started it.
        with ThreadPoolExecutor(len(self.servers)) as pool:
            tasks = [pool.submit(server.prepare) for server in self.servers]
            self.supervisor.wait_until(lambda: all(task.done() for task in tasks), SERVER_SECONDS)
            for task in tasks:
                task.result()

    def _launch_servers(self) -> None:
        for server in self.servers:
            stop_order = POSTGRES if isinstance(server, EmbeddedPostgres) else VALKEY
            child = Child(server.title, server.launch, stop_order, server.stop_steps, server.log_path)
            self.supervisor.start(child)
        for server in self.servers:
            if not self.supervisor.wait_until(server.check_ready, SERVER_SECONDS):
                raise StartFailed(f"{server.title} was not ready in {SERVER_SECONDS} s: see {server.log_path}.")

    def _use_postgres(self, postgres: EmbeddedPostgres) -> None:
        """Migrations run as the owner of the tables; all else runs as roles that are subject to row-level security."""
        postgres.create_database(DATABASE)
        postgres.hand_to_owner(DATABASE)
        self.environment["MIGRATION_DATABASE_URL"] = postgres.url(DATABASE, OWNER)
        self.environment["DATABASE_URL"] = postgres.url(DATABASE, APPLICATION)
        self.environment["WORKER_DATABASE_URL"] = postgres.url(DATABASE, WORKER)

    def _start_processes(self) -> None:
        """Start one API process and the consumers first: on a small machine, starting all at once delays each."""
        names = [f"api-{number}" for number in range(1, self.options.workers + 1)] + self._worker_names()
        first = [name for name in names if name in FIRST]
        for name in first:
            self.supervisor.start(self._child_named(name))
        self._wait_until_ready()
        for name in names:
            if name not in first:
                self.supervisor.start(self._child_named(name))

    def _child_named(self, name: str) -> Child:
        if name.startswith("api-"):
            return self._child(name, API, "serve", "--fd", str(self.listener.fileno()))
        return self._child(name, WORKERS, "worker", "--only", name)

    def _worker_names(self) -> list[str]:
        # Without Kafka the consumers read the outbox log directly, so no relay is needed.
        relay = ["relay"] if self.settings.is_distributed else []
        return [*relay, "consumers", "scheduler", "webhooks"]

    def _child(self, name: str, stop_order: int, *arguments: str) -> Child:
        log = None if self.options.verbose else self.logs / f"{name}.log"
        command = [sys.executable, "-m", "ticketing.cli", *arguments]
        launch = self.supervisor.command(command, self.environment, log, [self.listener.fileno()])
        return Child(name, launch, stop_order, log=log)

    def _run_once(self, command: str, seconds: float, failure: str, *arguments: str) -> None:
        log = self.logs / f"{command}.log"
        log.write_text("")
        launch = [sys.executable, "-m", "ticketing.cli", command, *arguments]
        child = Child(command, self.supervisor.command(launch, self.environment, log), log=log)
        if self.supervisor.run_once(child, seconds) != 0:
            raise StartFailed(f"{failure} ({last_line(log)}); the full output is in {log}.")

    def _wait_until_ready(self) -> None:
        if not self.supervisor.wait_until(self._is_ready, READY_SECONDS):
            raise StartFailed(f"{self._address()}/health/ready was not ready in {READY_SECONDS} s: see {self.logs}.")

    def _is_ready(self) -> bool:
        for child in self.supervisor.children:
            if child.failures >= START_FAILURES_MAX:
                raise StartFailed(f"{child.name} does not start ({last_line(child.log)}); see {child.log}.")
        connection = http.client.HTTPConnection(self._host(), self.settings.port, timeout=2)
        try:
            connection.request("GET", "/health/ready", headers={"Connection": "close"})
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _host(self) -> str:
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.options.host, self.options.host)  # noqa: S104

    def _address(self) -> str:
        host = self._host()
        return f"http://{f'[{host}]' if ':' in host else host}:{self.settings.port}"

    def _print_summary(self, seconds: float) -> None:
        base = self.settings.public_url or self._address()
        lines = ["", f"Ticketing is ready: {base}/   (after {seconds:.1f} s)", ""]
        lines += [f"  Interactive docs  {base}/docs", f"  Health            {base}/health"]
        lines += [f"  Metrics           {base}/metrics"]
        lines += [] if self.options.verbose else [f"  Logs              {self.logs}"]
        lines += ["", self.demo_accounts] if self.demo_accounts else []
        for line in [*lines, "", "Press Ctrl-C to stop."]:
            self.terminal.say(line)

    def _remove_gauges(self, pid: int) -> None:
        """Remove the gauges of a process that has ended from /metrics."""
        with suppress(OSError):
            mark_process_dead(pid, str(self.metrics))  # type: ignore[no-untyped-call]

    def _stop(self) -> None:
        if self.supervisor.stop_requests:
            self.terminal.say("\nStopping the API, the workers, then the databases. Press Ctrl-C again to speed it up.")
        self.listener.close()
        self.supervisor.stop()
        for server in self.servers:
            server.stop()
        if self.supervisor.stop_requests:
            self.terminal.say("Stopped.")
