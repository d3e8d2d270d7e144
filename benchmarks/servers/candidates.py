"""The candidates: each HTTP server on each Python version, in a separate virtual environment, and its processes."""

import hashlib
import os
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.generator.generator import Missing
from benchmarks.testbed.testbed import Testbed
from ticketing.infra.http.server import DRAIN_SECONDS
from ticketing.infra.system.ports import free_port
from ticketing.infra.system.processes import wait_for

ROOT = Path(__file__).parents[2]
PINNED = ("granian==2.8.7", "hypercorn==0.18.0")
APP = "benchmarks.server:create_app"
START_SECONDS = 90

#: Arguments of `python -m`. All use one serving process, uvloop, no access log, and the same drain timeout.
COMMANDS = {
    "uvicorn": "benchmarks.server {port}",
    "granian": "granian --interface asgi --http 1 --no-ws --loop uvloop --workers 1 --host 127.0.0.1 --port {port}"
    " --log-level warning --workers-kill-timeout {drain} --factory " + APP,
    # Without its default limit of 1,000 requests per connection, which would measure reconnecting.
    "hypercorn": "hypercorn -c file:{folder}/hypercorn.py -k uvloop -w 1 -b 127.0.0.1:{port} --graceful-timeout {drain}"
    " --log-level warning " + APP + "()",
}


def find_python(version: str) -> str:
    """The path of this Python version, from PATH or pyenv. Raises Missing."""
    found = [path for path in [shutil.which(f"python{version}")] if path]
    if shutil.which("pyenv"):
        root = subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=True).stdout.strip()  # noqa: S607
        found += map(str, Path(root, "versions").glob(f"{version}.*/bin/python"))
    for path in found:
        # A pyenv shim may be on PATH although the version is not installed.
        probe = subprocess.run([path, "-c", "import sys; print(sys.executable)"], capture_output=True, text=True)
        if probe.returncode == 0:
            return probe.stdout.strip()
    raise Missing(f"Python {version} is neither on PATH nor with pyenv")


def prepare(version: str) -> Path:
    """The `python` of an environment with the project and the servers, created once per lock file. Raises Missing."""
    python, uv = find_python(version), shutil.which("uv") or str(ROOT / ".cache/tools/bin/uv")
    if not Path(uv).exists():
        raise Missing("uv is neither on PATH nor in .cache/tools/bin: `make run` downloads it")
    folder, lock = ROOT / ".cache/servers" / version, ROOT / "requirements.lock"
    mark = folder / f"ready-{hashlib.sha256(lock.read_bytes() + repr((python, PINNED)).encode()).hexdigest()[:16]}"
    if not mark.exists():
        install = ["pip", "install", "--python", str(folder / "bin/python")]
        for arguments in (
            ["venv", "--clear", "--python", python, str(folder)],
            [*install, "--compile-bytecode", "--require-hashes", "-r", str(lock)],
            [*install, "--no-deps", "-e", str(ROOT)],
            [*install, "--compile-bytecode", *PINNED],
        ):
            environment = {"UV_CACHE_DIR": str(ROOT / ".cache/uv"), **os.environ}
            subprocess.run([uv, *arguments, "--quiet"], env=environment, check=True)
        mark.touch()
    return folder / "bin/python"


@dataclass(slots=True)
class Candidate:
    """A running HTTP server on one Python version."""

    server: str
    version: str
    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def name(self) -> str:
        return f"{self.server}, Python {self.version}"

    @property
    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/ready", timeout=2) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    @property
    def processes(self) -> list[int]:
        """The live processes of its group: the first one and its children."""
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _is_alive(pid, self.process.pid)]

    @property
    def memory_mib(self) -> float:
        """The proportional set size of all its processes: shared memory counts once."""
        return sum(_proportional_kib(pid) for pid in self.processes) / 1024

    @property
    def cpu_seconds(self) -> float:
        """The CPU time that its processes have used so far."""
        return sum(_cpu_ticks(pid) for pid in self.processes) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """Kill the remaining processes."""
        for pid in self.processes:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def running(testbed: Testbed, server: str, version: str, python: Path) -> Iterator[Candidate]:
    """Start a candidate with the settings of the testbed. Aborts the benchmark if it does not start."""
    port, folder = free_port(), testbed.folder
    (folder / "hypercorn.py").write_text("keep_alive_max_requests = 10**12\n")
    log, metrics = folder / f"{server}-{version}.log", folder / f"metrics-{server}-{version}"
    metrics.mkdir()
    environment = {
        **testbed.environment,
        "PORT": str(port),
        "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}",
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        # All candidates run at the same time, and the database accepts a hundred connections.
        "DATABASE_POOL_SIZE": "4",
        "DATABASE_POOL_TIMEOUT_SECONDS": "60",
    }
    arguments = COMMANDS[server].format(port=port, drain=DRAIN_SECONDS, folder=folder).split()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(python), "-m", *arguments], env=environment, stdout=output, stderr=output, start_new_session=True
        )
    candidate = Candidate(server, version, port, process)
    try:
        _wait_until_open(candidate, log)
        yield candidate
    finally:
        candidate.end()


def _wait_until_open(candidate: Candidate, log: Path) -> None:
    wait_for(lambda: candidate.is_ready or candidate.process.poll() is not None, START_SECONDS)
    if not candidate.is_ready:
        raise SystemExit(f"{candidate.name} does not response: {log.read_text()[-2000:]}")


def _stat(pid: int) -> list[str]:
    """The fields of proc_pid_stat(5) from the third one, the state; empty if the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _is_alive(pid: int, group: int) -> bool:
    fields = _stat(pid)
    return bool(fields) and int(fields[2]) == group and fields[0] != "Z"


def _cpu_ticks(pid: int) -> int:
    return sum(map(int, _stat(pid)[11:13]))


def _proportional_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
