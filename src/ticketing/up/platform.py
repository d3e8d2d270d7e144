"""The whole platform on one machine, from nothing: `ticketing up`."""

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
from ticketing.infra.embedded.postgres import APPLICATION, WORKER, EmbeddedPostgres
from ticketing.infra.embedded.valkey import EmbeddedValkey
from ticketing.infra.system.ports import listen
from ticketing.infra.system.processes import claim_folder
from ticketing.up.child import Child
from ticketing.up.supervisor import Stopping, Supervisor
from ticketing.up.terminal import Terminal, last_line

DATABASE = "ticketing"
API, WORKERS, VALKEY, POSTGRES = range(4)
"""The order in which things end: first those who use, last those who are used."""
SERVER_SECONDS = 90
MIGRATION_SECONDS = 300
READY_SECONDS = 60
DEMO_SECONDS = 300
FIRST = ("api-1", "relay", "consumers")
"""The parts that it takes to sell a ticket."""
FALLS_AT_START = 3
"""A part that has fallen this often before the platform was open will not come up by trying."""


class StartFailed(Exception):
    """The platform cannot open; the text is one sentence that says why and where to read more."""


@dataclass(frozen=True)
class Choices:
    """What the command line asks for."""

    host: str
    workers: int
    demo: bool
    verbose: bool
    with_parent: bool


class Platform:
    """Opens the platform step by step, keeps it running, and closes it."""

    def __init__(self, settings: Settings, choices: Choices) -> None:
        self.settings = settings
        self.choices = choices
        self.folder = settings.data_dir.resolve()
        self.logs = self.folder / "logs"
        self.metrics = self.folder / "run" / "metrics"
        self.terminal = Terminal(self.logs / "up.log")
        self.supervisor = Supervisor(self.terminal.warn, self._forget, follows_parent=choices.with_parent)
        self.environment = dict(os.environ)
        self.servers: list[EmbeddedServer] = []
        self.log_ins = ""

    def run(self) -> None:
        """Returns when it was asked to stop and everything has ended.

        Raises StartFailed, EmbeddedError, CannotListen or ConfigurationError, each with one sentence.
        """
        begun = time.monotonic()
        with ExitStack() as cleanup:
            self.listener = cleanup.enter_context(listen(self.choices.host, self.settings.port))
            cleanup.callback(os.close, self._own_folder())
            self.supervisor.handle_signals()
            cleanup.callback(self._close)
            with suppress(Stopping):
                self._open()
                self._greet(time.monotonic() - begun)
                self.supervisor.run()

    def _open(self) -> None:
        self.terminal.say(f"Opening Ticketing; its data is in {self.folder}")
        self._prepare_folder()
        self._start_servers()
        with self.terminal.step("schema up to date"):
            self._migrate()
        with self.terminal.step(f"API x {self.choices.workers}, {', '.join(self._worker_names())}"):
            self._start_processes()
        if self.choices.demo:
            self._build_demo()

    def _migrate(self) -> None:
        if not self._is_settled():
            self._run_once("migrate", MIGRATION_SECONDS, "The database could not be brought up to date")

    def _is_settled(self) -> bool:
        """A server of our own is asked, for most often nothing has changed since it was closed."""
        urls = self.environment
        return not self.settings.database_url and schema.is_up_to_date(
            urls["MIGRATION_DATABASE_URL"],
            {urls["DATABASE_URL"]: schema.REQUESTS, urls["WORKER_DATABASE_URL"]: schema.WORKERS},
        )

    def _build_demo(self) -> None:
        with self.terminal.step("demo"):
            try:
                self._run_once("seed", DEMO_SECONDS, "The demo could not be built", "--base-url", self._address())
            except StartFailed as error:  # the platform is open all the same
                self.terminal.warn(str(error))
            else:
                self.log_ins = (self.logs / "seed.log").read_text().strip()

    def _own_folder(self) -> int:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
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
        # The parts would all want the same port; here /metrics of the API adds them up.
        self.environment["METRICS_PORT"] = ""
        if self.choices.verbose and sys.stdout.isatty():
            self.environment.setdefault("LOG_FORMAT", "console")

    def _start_servers(self) -> None:
        """Starts those servers that nobody has set an address for, side by side."""
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
        # The slow part may run in threads, the start itself may not: a server ends with the thread that started it.
        with ThreadPoolExecutor(len(self.servers)) as pool:
            tasks = [pool.submit(server.prepare) for server in self.servers]
            self.supervisor.wait_until(lambda: all(task.done() for task in tasks), SERVER_SECONDS)
            for task in tasks:
                task.result()

    def _launch_servers(self) -> None:
        for server in self.servers:
            stage = POSTGRES if isinstance(server, EmbeddedPostgres) else VALKEY
            child = Child(server.title, server.launch, stage, server.stop_steps, server.log_path)
            self.supervisor.start(child)
        for server in self.servers:
            if not self.supervisor.wait_until(server.check_ready, SERVER_SECONDS):
                raise StartFailed(f"{server.title} was not ready in {SERVER_SECONDS} s: see {server.log_path}.")

    def _use_postgres(self, postgres: EmbeddedPostgres) -> None:
        """Migrations run as the owner; everything else as roles that row-level security binds."""
        postgres.create_database(DATABASE)
        self.environment["MIGRATION_DATABASE_URL"] = postgres.url(DATABASE)
        self.environment["DATABASE_URL"] = postgres.url(DATABASE, APPLICATION)
        self.environment["WORKER_DATABASE_URL"] = postgres.url(DATABASE, WORKER)

    def _start_processes(self) -> None:
        """One API process and those who carry messages come first: on a small machine all at once is late for all."""
        names = [f"api-{number}" for number in range(1, self.choices.workers + 1)] + self._worker_names()
        first = [name for name in names if name in FIRST]
        for name in first:
            self.supervisor.start(self._part(name))
        self._wait_until_open()
        for name in names:
            if name not in first:
                self.supervisor.start(self._part(name))

    def _part(self, name: str) -> Child:
        if name.startswith("api-"):
            return self._child(name, API, "serve", "--fd", str(self.listener.fileno()))
        return self._child(name, WORKERS, "worker", "--only", name)

    def _worker_names(self) -> list[str]:
        # Without Kafka the consumers read the outbox log themselves, and nothing has to be relayed.
        relay = ["relay"] if self.settings.is_distributed else []
        return [*relay, "consumers", "scheduler", "webhooks"]

    def _child(self, name: str, stage: int, *arguments: str) -> Child:
        log = None if self.choices.verbose else self.logs / f"{name}.log"
        command = [sys.executable, "-m", "ticketing.cli", *arguments]
        launch = self.supervisor.command(command, self.environment, log, [self.listener.fileno()])
        return Child(name, launch, stage, log=log)

    def _run_once(self, command: str, seconds: float, failure: str, *arguments: str) -> None:
        log = self.logs / f"{command}.log"
        log.write_text("")
        launch = [sys.executable, "-m", "ticketing.cli", command, *arguments]
        child = Child(command, self.supervisor.command(launch, self.environment, log), log=log)
        if self.supervisor.run_once(child, seconds) != 0:
            raise StartFailed(f"{failure} ({last_line(log)}); the whole story is in {log}.")

    def _wait_until_open(self) -> None:
        if not self.supervisor.wait_until(self._is_open, READY_SECONDS):
            raise StartFailed(f"{self._address()}/health/ready was not ready in {READY_SECONDS} s: see {self.logs}.")

    def _is_open(self) -> bool:
        for child in self.supervisor.children:
            if child.falls >= FALLS_AT_START:
                raise StartFailed(f"{child.name} does not start ({last_line(child.log)}); its log is {child.log}.")
        connection = http.client.HTTPConnection(self._host(), self.settings.port, timeout=2)
        try:
            connection.request("GET", "/health/ready", headers={"Connection": "close"})
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _host(self) -> str:
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.choices.host, self.choices.host)  # noqa: S104

    def _address(self) -> str:
        host = self._host()
        return f"http://{f'[{host}]' if ':' in host else host}:{self.settings.port}"

    def _greet(self, seconds: float) -> None:
        base = self.settings.public_url or self._address()
        lines = ["", f"Ticketing is open: {base}/   (after {seconds:.1f} s)", ""]
        lines += [f"  API, to try out   {base}/docs", f"  Health            {base}/health"]
        lines += [f"  Metrics           {base}/metrics"]
        lines += [] if self.choices.verbose else [f"  Logs              {self.logs}"]
        lines += ["", self.log_ins] if self.log_ins else []
        for line in [*lines, "", "Ctrl-C closes it."]:
            self.terminal.say(line)

    def _forget(self, pid: int) -> None:
        """Takes the gauges of a process that has ended out of /metrics."""
        with suppress(OSError):
            mark_process_dead(pid, str(self.metrics))  # type: ignore[no-untyped-call]

    def _close(self) -> None:
        if self.supervisor.stop_requests:
            self.terminal.say("\nClosing: requests, then workers, then databases. Once more to hurry.")
        self.listener.close()
        self.supervisor.stop()
        for server in self.servers:
            server.stop()
        if self.supervisor.stop_requests:
            self.terminal.say("Closed.")
