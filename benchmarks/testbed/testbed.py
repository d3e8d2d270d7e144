"""The system under test: durable Postgres, Valkey, the workers, and one API process with rate limits on."""

import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.generator.generator import Generator
from benchmarks.testbed.platform import ONE_BUYER_HOLDS_MUCH
from ticketing.infra.config import Settings
from ticketing.infra.config.local_secrets import missing_secrets
from ticketing.infra.embedded.postgres import APPLICATION, OWNER, WORKER, EmbeddedPostgres
from ticketing.infra.embedded.valkey import EmbeddedValkey
from ticketing.infra.system.ports import free_port
from ticketing.infra.system.processes import dying_with_parent, wait_for

READY_SECONDS = 60
#: Lifetime of access tokens, longer than the longest round.
TOKEN_SECONDS = 3600
WITH_WORKERS = os.environ.get("BENCH_WORKERS", "on") == "on"

#: The data folder and the two servers.
Servers = tuple[Path, EmbeddedPostgres, EmbeddedValkey]


class Testbed:
    """One database with its API process and its workers. `url` is that of the API, without `/api/v1`."""

    def __init__(self, folder: Path, environment: Mapping[str, str], owner_url: str, servers: Servers) -> None:
        self.folder, self.environment, self.owner_url, self.servers = folder, {**environment}, owner_url, servers
        self.worker: subprocess.Popen[bytes] | None = None
        self.api_pid = 0
        self.port = int(self.environment["PORT"])
        self.url = f"http://127.0.0.1:{self.port}"
        self.generator = Generator(folder, self.port, {"MOCK_WEBHOOK_SECRET": environment["MOCK_WEBHOOK_SECRET"]})

    @contextmanager
    def running(self, *arguments: str, name: str, **settings: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Run a Python module with the testbed's environment and `settings` until the block ends. It logs to a file."""
        with (self.folder / f"{name}.log").open("ab") as output:
            process = subprocess.Popen(
                [*dying_with_parent("TERM"), sys.executable, "-m", *arguments],
                env={**self.environment, **settings},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @contextmanager
    def workers_running(self) -> Iterator[None]:
        """Let the workers run during the block, also with BENCH_WORKERS=off."""
        self._signal_worker(signal.SIGCONT)
        yield
        if not WITH_WORKERS:
            self._signal_worker(signal.SIGSTOP)

    def _signal_worker(self, number: signal.Signals) -> None:
        if self.worker is not None:
            self.worker.send_signal(number)

    def run_once(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "ticketing.cli", *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            lines = [line for line in f"{done.stdout}{done.stderr}".splitlines() if not line.startswith("    ok ")]
            raise SystemExit("\n".join([f"ticketing {' '.join(arguments)}:", *lines[-30:]]))

    def read_metrics(self) -> dict[str, float]:
        """The current samples of /metrics, by name with labels."""
        with urllib.request.urlopen(f"{self.url}/metrics") as response:  # noqa: S310 (a loopback address)
            lines = [line for line in response.read().decode().splitlines() if line and line[0] != "#"]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health/ready", timeout=2) as response:  # noqa: S310
                return bool(response.status == 200)
        except OSError:
            return False


@contextmanager
def embedded_servers(postgres_settings: Mapping[str, str] | None = None) -> Iterator[Servers]:
    """A temporary folder with the two servers."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres = stack.enter_context(EmbeddedPostgres(folder / "postgres", postgres_settings))
        valkey = stack.enter_context(EmbeddedValkey(folder / "valkey"))
        yield folder, postgres, valkey


@contextmanager
def open_testbed(
    folder: Path,
    postgres: EmbeddedPostgres,
    valkey: EmbeddedValkey,
    database: str = "ticketing",
    number: int = 0,
    kafka_bootstrap: str = "",
) -> Iterator[Testbed]:
    """A migrated database with its workers and its API process, with the role and settings of `ticketing up`.

    With `kafka_bootstrap`, no workers are started: the benchmark starts those that it measures.

    BENCH_WORKERS=off pauses the workers while holds are measured, as if they ran on other cores.
    """
    postgres.create_database(database)
    postgres.hand_to_owner(database)
    own, metrics = folder / database, folder / database / "metrics"
    metrics.mkdir(parents=True)
    environment = {
        **_environment(folder, own, postgres, valkey, database, number),
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
    }
    testbed = Testbed(own, environment, _plain(postgres.url(database)), (folder, postgres, valkey))
    testbed.run_once("migrate")
    with ExitStack() as stack:
        api = stack.enter_context(testbed.running("benchmarks.server", str(testbed.port), name="api"))
        testbed.api_pid = api.pid
        if not kafka_bootstrap:
            testbed.worker = stack.enter_context(testbed.running("ticketing.cli", "worker", name="worker"))
        if not wait_for(lambda: testbed.is_ready() or api.poll() is not None, READY_SECONDS) or api.poll() is not None:
            raise SystemExit((own / "api.log").read_text()[-4000:])
        with testbed.workers_running():
            pass
        yield testbed


def _environment(
    folder: Path, own: Path, postgres: EmbeddedPostgres, valkey: EmbeddedValkey, database: str, number: int
) -> dict[str, str]:
    overrides = {
        "PORT": str(free_port()),
        "DATA_DIR": str(folder),
        "DATABASE_URL": postgres.url(database, APPLICATION),
        "WORKER_DATABASE_URL": postgres.url(database, WORKER),
        "MIGRATION_DATABASE_URL": postgres.url(database, OWNER),
        "REDIS_URL": valkey.url(number),
        "SMTP_URL": "",
        "RATE_LIMITS": "on",
        **ONE_BUYER_HOLDS_MUCH,
        "LOG_LEVEL": "info",
        "LOG_FORMAT": "json",
        "TRUSTED_PROXIES": "127.0.0.1",
        "ACCESS_TOKEN_SECONDS": str(TOKEN_SECONDS),
        "PROMETHEUS_MULTIPROC_DIR": str(own / "metrics"),
        "METRICS_PORT": "",
        "ENVIRONMENT": "development",
    }
    return {**os.environ, **missing_secrets(Settings(_env_file=None), folder / "secrets.env"), **overrides}


def _plain(url: str) -> str:
    return url.replace("+psycopg", "", 1)
