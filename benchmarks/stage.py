"""What the hot path is measured on: real, durable Postgres, Valkey, the workers, and one API process with limits on."""

import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.generator import Generator
from ticketing.infra.config import Settings
from ticketing.infra.config.local_secrets import missing_secrets
from ticketing.infra.embedded.postgres import APPLICATION, WORKER, EmbeddedPostgres
from ticketing.infra.embedded.valkey import EmbeddedValkey
from ticketing.infra.system.ports import free_port
from ticketing.infra.system.processes import dying_with_parent, wait_for

READY_SECONDS = 60
#: The longest round of all has to end before the tokens of its buyers run out.
TOKEN_SECONDS = 3600
WITH_WORKERS = os.environ.get("BENCH_WORKERS", "on") == "on"

#: Where everything is kept, and what it is kept in.
Servers = tuple[Path, EmbeddedPostgres, EmbeddedValkey]


class Stage:
    """One database with its API process and its workers. `url` is the API's, without `/api/v1`."""

    def __init__(self, folder: Path, environment: Mapping[str, str], owner_url: str, servers: Servers) -> None:
        self.folder, self.environment, self.owner_url, self.servers = folder, {**environment}, owner_url, servers
        self.worker: subprocess.Popen[bytes] | None = None
        self.port = int(self.environment["PORT"])
        self.url = f"http://127.0.0.1:{self.port}"
        self.generator = Generator(folder, self.port, {"MOCK_WEBHOOK_SECRET": environment["MOCK_WEBHOOK_SECRET"]})

    @contextmanager
    def running(self, *arguments: str, name: str, **settings: str) -> Iterator["subprocess.Popen[bytes]"]:
        """One of our programs with this stage's settings and these; it writes to a file, and ends with the block."""
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
    def workers_at_work(self) -> Iterator[None]:
        """Also with BENCH_WORKERS=off, for what is not done before they have done their part."""
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
        """The samples of /metrics at this moment, by name and labels as they are written there."""
        with urllib.request.urlopen(f"{self.url}/metrics") as answer:  # noqa: S310 (our own address)
            lines = [line for line in answer.read().decode().splitlines() if line and line[0] != "#"]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    def is_open(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health/ready", timeout=2) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:
            return False


@contextmanager
def servers(postgres_settings: Mapping[str, str] | None = None) -> Iterator[Servers]:
    """A folder, and the two servers in it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres = stack.enter_context(EmbeddedPostgres(folder / "postgres", postgres_settings))
        valkey = stack.enter_context(EmbeddedValkey(folder / "valkey"))
        yield folder, postgres, valkey


@contextmanager
def open_stage(
    folder: Path,
    postgres: EmbeddedPostgres,
    valkey: EmbeddedValkey,
    database: str = "ticketing",
    number: int = 0,
    kafka: str = "",
) -> Iterator[Stage]:
    """A migrated database with its API process (role and settings as `ticketing up` has them) and its workers.

    With Kafka at `kafka` the workers are left to the benchmark, which starts those that it looks at.

    BENCH_WORKERS=off has them pause while holds are measured: a deployment gives them cores of their own.
    """
    postgres.create_database(database)
    own, metrics = folder / database, folder / database / "metrics"
    metrics.mkdir(parents=True)
    environment = {
        **_environment(folder, own, postgres, valkey, database, number),
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
    }
    stage = Stage(own, environment, _plain(postgres.url(database)), (folder, postgres, valkey))
    stage.run_once("migrate")
    with ExitStack() as stack:
        api = stack.enter_context(stage.running("benchmarks.server", str(stage.port), name="api"))
        if not kafka:
            stage.worker = stack.enter_context(stage.running("ticketing.cli", "worker", name="worker"))
        if not wait_for(lambda: stage.is_open() or api.poll() is not None, READY_SECONDS) or api.poll() is not None:
            raise SystemExit((own / "api.log").read_text()[-4000:])
        with stage.workers_at_work():
            pass
        yield stage


def _environment(
    folder: Path, own: Path, postgres: EmbeddedPostgres, valkey: EmbeddedValkey, database: str, number: int
) -> dict[str, str]:
    ours = {
        "PORT": str(free_port()),
        "DATA_DIR": str(folder),
        "DATABASE_URL": postgres.url(database, APPLICATION),
        "WORKER_DATABASE_URL": postgres.url(database, WORKER),
        "MIGRATION_DATABASE_URL": postgres.url(database),
        "REDIS_URL": valkey.url(number),
        "SMTP_URL": "",
        "RATE_LIMITS": "on",
        "LOG_LEVEL": "info",
        "LOG_FORMAT": "json",
        "TRUSTED_PROXIES": "127.0.0.1",
        "ACCESS_TOKEN_SECONDS": str(TOKEN_SECONDS),
        "PROMETHEUS_MULTIPROC_DIR": str(own / "metrics"),
        "METRICS_PORT": "",
        "ENVIRONMENT": "development",
    }
    return {**os.environ, **missing_secrets(Settings(_env_file=None), folder / "secrets.env"), **ours}


def _plain(url: str) -> str:
    return url.replace("+psycopg", "", 1)
