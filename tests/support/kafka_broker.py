"""A real Apache Kafka broker for the tests: one KRaft node on loopback, its jars resolved by Maven coordinates.

`python -m tests.support.kafka_broker` only fetches the jars, so that a build can run, and retry, the slow part first.
"""

import fcntl
import functools
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import pytest

from tests.support.machine import skip_or_fail
from tests.support.plugins.distribution import closing

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
POM = ROOT / "tests" / "support" / "kafka" / "pom.xml"
CACHE = ROOT / ".cache"
JAVA_FLOOR = 17
FETCH_SECONDS = 280
READY_SECONDS = 120
# The tests measure behaviour and not speed: one compiler tier and the serial collector start fastest and stay smallest.
JVM_FLAGS = ("-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
CLUSTER_ID = "WqMJoRHx6Sxlu7WIm4LClQ"

SERVER_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{advertised_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={log_dir}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
broker.heartbeat.interval.ms=250
broker.session.timeout.ms=2000
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
num.network.threads=2
num.io.threads=2
log.cleaner.dedupe.buffer.size=4194304
"""


class KafkaUnavailable(RuntimeError):
    """This machine cannot run a Kafka broker; the message names the missing part."""


class KafkaBroker:
    """One node that keeps its data and its port over `stop()`, `kill()` and `start()`.

    Where the kernel allows it the broker gets SIGTERM when the thread that started it ends, so that a killed test
    run leaves no orphan. Call `spawn()` therefore from a thread that lives as long as the broker should.
    """

    def __init__(
        self, base: Path, jars: Path | None = None, settings: Mapping[str, str] | None = None, *, wired: bool = False
    ) -> None:
        """`settings` are added to the node's own, by name as in server.properties.

        `wired`: clients are sent to `wire_port`, where somebody else has to pass them on to `port`.
        """
        self.base = base.resolve()
        self._jars, self._added = jars, "".join(f"{name}={value}\n" for name, value in (settings or {}).items())
        self.port, self._controller_port, wire_port = free_ports(3)
        self.wire_port = wire_port if wired else 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.wire_port or self.port}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> "KafkaBroker":
        """Starts the broker and waits until it serves clients. Raises RuntimeError with the end of its log."""
        self.spawn()
        return self.wait_until_ready()

    def spawn(self) -> None:
        """Starts without waiting; formats the storage the first time."""
        assert not self.running, "the broker runs already"
        if not (self.base / "data" / "meta.properties").exists():
            self._format()
        with (self.base / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*die_with_parent(), *self._java("kafka.Kafka"), str(self._properties)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.base,
                start_new_session=True,
            )

    def wait_until_ready(self, seconds: float = READY_SECONDS) -> "KafkaBroker":
        """Ready means that a client reads the metadata and finds the node in it, not merely that the port is open."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not self.running:
                raise RuntimeError(f"the Kafka broker ended at its start:\n{self.log_tail()}")
            if port_is_open(self.port) and self._answers():
                return self
            time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"the Kafka broker was not ready within {seconds:.0f} s:\n{self.log_tail()}")

    def stop(self, seconds: float = 30) -> None:
        """A controlled shutdown; a broker that takes longer than `seconds` is killed."""
        self._end(signal.SIGTERM, seconds)

    def kill(self) -> None:
        """What a power cut looks like to the clients: SIGKILL, nothing flushed."""
        self._end(signal.SIGKILL, 10)

    def log_tail(self, lines: int = 30) -> str:
        log = self.base / "broker.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log)"

    @property
    def _properties(self) -> Path:
        return self.base / "server.properties"

    def _java(self, main_class: str) -> list[str]:
        java = find_java()
        if java is None:
            raise KafkaUnavailable(f"no Java {JAVA_FLOOR} or newer")
        jars = self._jars or fetch_jars()
        log = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        return [java, *JVM_FLAGS, log, "-cp", f"{jars}/*", main_class]

    def _format(self) -> None:
        self.base.mkdir(parents=True, exist_ok=True)
        settings = {
            "port": self.port,
            "controller_port": self._controller_port,
            "advertised_port": self.wire_port or self.port,
            "log_dir": self.base / "data",
        }
        self._properties.write_text(SERVER_PROPERTIES.format(**settings) + self._added)
        command = [*self._java("kafka.tools.StorageTool"), "format", "-t", CLUSTER_ID, "-c", str(self._properties)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(f"the storage of the Kafka broker could not be formatted:\n{done.stdout}{done.stderr}")

    def _answers(self) -> bool:
        # The clients' library is imported late: fetching the jars needs nothing but the standard library and pytest.
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        try:
            metadata = AdminClient({"bootstrap.servers": f"127.0.0.1:{self.port}", "log_level": 0}).list_topics(
                timeout=1
            )
        except KafkaException:
            return False
        return bool(metadata.brokers)

    def _end(self, how: signal.Signals, seconds: float) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process = None


def patiently(ask: Callable[[], T], seconds: float = 60) -> T:
    """Retries while a broker that has just started has no coordinators yet, as the product's clients do."""
    from confluent_kafka import KafkaError, KafkaException

    starting = {
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    }
    end = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in starting or time.monotonic() > end:
                raise
            time.sleep(0.1)


def kafka_available() -> str | None:
    """Returns why no broker can run here; None when one can."""
    if find_java() is None:
        return f"a real Kafka broker needs Java {JAVA_FLOOR} or newer (JAVA_HOME or PATH)"
    if not jars_are_complete(jar_dir()) and shutil.which("mvn") is None:
        return "a real Kafka broker needs Maven (mvn) to resolve its jars"
    return None


def kafka_version() -> str:
    found = re.search(r"<kafka\.version>([^<]+)<", POM.read_text())
    assert found, f"{POM} names no kafka.version"
    return found.group(1)


def jar_dir() -> Path:
    return CACHE / "kafka" / kafka_version()


def jars_are_complete(jars: Path) -> bool:
    """Whether Maven has copied all jars of the present pom; the pom itself is copied last."""
    marker = jars / "pom.xml"
    return marker.exists() and marker.read_bytes() == POM.read_bytes()


def fetch_jars() -> Path:
    """Resolves the jars once per checkout; concurrent sessions wait for the first one.

    Raises KafkaUnavailable with Maven's own words when they cannot be resolved.
    """
    jars = jar_dir()
    jars.parent.mkdir(parents=True, exist_ok=True)
    with (jars.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not jars_are_complete(jars):
            with tempfile.TemporaryDirectory(dir=jars.parent) as half:
                copy_dependencies(Path(half))
                shutil.rmtree(jars, ignore_errors=True)
                shutil.copytree(half, jars)
                # The marker comes last: a copy that was cut short is never taken for a whole one.
                shutil.copyfile(POM, jars / "pom.xml")
    return jars


def copy_dependencies(target: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnavailable("no Maven (mvn) to resolve the jars of the Kafka broker")
    options = ["-q", "-B", "-f", str(POM), f"-Dmaven.repo.local={CACHE / 'm2'}"]
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={target}"]
    try:
        done = subprocess.run([maven, *options, *goal], capture_output=True, text=True, timeout=FETCH_SECONDS)
    except subprocess.TimeoutExpired:
        raise KafkaUnavailable(f"Maven did not resolve the Kafka jars within {FETCH_SECONDS} s") from None
    if done.returncode:
        raise KafkaUnavailable(f"Maven could not resolve the Kafka jars: {(done.stdout + done.stderr)[:600]}")


@functools.cache
def find_java() -> str | None:
    """The first Java of JAVA_HOME and PATH that is new enough."""
    home = os.environ.get("JAVA_HOME")
    candidates = [f"{home}/bin/java"] if home else []
    for java in [*candidates, shutil.which("java")]:
        if java and os.access(java, os.X_OK) and java_major(java) >= JAVA_FLOOR:
            return java
    return None


def java_major(java: str) -> int:
    """17 for `openjdk version "17.0.15"`; 0 when there is no version."""
    said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30).stderr
    found = re.search(r'version "(\d+)', said)
    return int(found.group(1)) if found else 0


def die_with_parent() -> list[str]:
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


def free_ports(count: int) -> list[int]:
    """All ports are bound at the same time, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def port_is_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """One broker for the whole session, started when the first test asks for it."""
    if reason := kafka_available():
        skip_or_fail(reason)
    try:
        jars = fetch_jars()
    except KafkaUnavailable as error:
        skip_or_fail(str(error))
    broker = KafkaBroker(tmp_path_factory.mktemp("kafka"), jars)
    closing["broker"] = broker.stop
    try:
        yield broker.start()
    finally:
        broker.stop()


if __name__ == "__main__":
    fetch_jars()
