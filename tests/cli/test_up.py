"""Commands report an error in one sentence, and `ticketing up` leaves no process behind however it ends."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import forking
from ticketing.infra.system.ports import free_port, listen
from ticketing.infra.system.processes import wait_for

PLATFORM_VARIABLES = ("JWT_SECRET", "MOCK_WEBHOOK_SECRET", "TICKET_SIGNING_KEY", "LOG_FORMAT", "LOG_LEVEL")
READY_SECONDS = 90


def environment(**more: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in PLATFORM_VARIABLES} | more


def ticketing(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return forking.run("ticketing.cli", *arguments, cwd=folder, env=environment(**variables))


def error_of(completed: subprocess.CompletedProcess[str], status: int) -> str:
    """The one line that the failed command has written to standard error."""
    assert completed.returncode == status, completed
    assert completed.stdout == ""
    lines = completed.stderr.strip().splitlines()
    assert len(lines) == 1, completed.stderr
    return lines[0]


@pytest.mark.parametrize("command", [["up"], ["serve"], ["worker"], ["migrate"]])
def test_an_invalid_variable_is_named(tmp_path: Path, command: list[str]) -> None:
    assert "REDIS_URL: must look like" in error_of(ticketing(tmp_path, *command, REDIS_URL="http://nowhere"), 2)


def test_a_missing_production_setting_is_named(tmp_path: Path) -> None:
    assert "DATABASE_URL must be set" in error_of(ticketing(tmp_path, "up", ENVIRONMENT="production"), 2)


def test_an_unusable_data_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    error = error_of(ticketing(tmp_path, "up", "--data-dir", "file/data", "--port", str(free_port())), 2)
    assert error.startswith("ticketing: DATA_DIR: ")


def test_migrating_without_a_database_names_the_variable(tmp_path: Path) -> None:
    assert "DATABASE_URL" in error_of(ticketing(tmp_path, "migrate"), 2)


def test_an_unknown_worker_is_refused_with_a_list_of_the_known_ones(tmp_path: Path) -> None:
    assert "relay, consumers, scheduler, webhooks" in error_of(ticketing(tmp_path, "worker", "--only", "relay,cook"), 2)


def test_seeding_an_unreachable_server_names_its_address(tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    assert address in error_of(ticketing(tmp_path, "seed", "--base-url", address), 1)


@pytest.mark.parametrize("command", ["up", "serve"])
def test_a_port_in_use_is_reported_with_the_process_that_uses_it(tmp_path: Path, command: str) -> None:
    port = free_port()
    with listen("127.0.0.1", port):
        error = error_of(ticketing(tmp_path, command, "--port", str(port)), 2)
    assert f"Port {port} is taken" in error
    assert f"process {os.getpid()}" in error


class RunningPlatform:
    """`ticketing up` in a separate process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.output = folder.with_suffix(".out")
        command = [sys.executable, "-m", "ticketing.cli", "up", "--data-dir", str(folder), "--no-demo"]
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port), "--workers", "2"],
                cwd=folder.parent,
                env=environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_ready(self) -> "RunningPlatform":
        is_ready = wait_for(lambda: "is ready" in self.printed() or self.process.poll() is not None, READY_SECONDS)
        assert is_ready, self.printed()
        assert self.process.poll() is None, self.printed()
        return self

    def printed(self) -> str:
        return self.output.read_text()

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/ready", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def running(self) -> dict[int, str]:
        """Every process that `up` has started: its command line, working directory or environment has the folder."""
        return {pid: line for pid, line in _processes(self.folder) if pid != self.process.pid}

    def pids(self, what: str) -> list[int]:
        return [pid for pid, line in self.running().items() if what in line]


def _processes(folder: Path) -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            traces = line + str((entry / "cwd").readlink()) + (entry / "environ").read_text(errors="replace")
        except OSError:
            continue
        if line and str(folder) in traces:
            yield int(entry.name), line


@pytest.fixture
def up(tmp_path: Path) -> Iterator[RunningPlatform]:
    platform = RunningPlatform(tmp_path / "data")
    yield platform
    platform.process.kill()
    platform.process.wait()
    assert wait_for(lambda: not platform.running(), 120), platform.running()


READS_PROC = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc")


@READS_PROC
def test_up_starts_restarts_what_fails_and_stops(up: RunningPlatform) -> None:
    up.wait_until_ready()
    assert up.answers()
    _make_the_demo(up)
    for pid in (up.pids("serve --fd")[0], up.pids("--only consumers")[0], up.pids("bin/postgres")[0]):
        os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: len(up.pids("serve --fd")) == 2 and bool(up.pids("--only consumers")), 120)
    assert wait_for(up.answers, 120)
    for name in ("api-", "consumers", "PostgreSQL"):
        assert name in up.printed()
    assert "was ended by SIGKILL; restarting" in up.printed()
    readable = [path for path in up.folder.rglob("*") if not path.is_symlink() and path.lstat().st_mode & 0o077]
    assert [path for path in readable if not path.is_socket()] == [], "other users of the machine can read these"
    up.process.send_signal(signal.SIGTERM)
    assert up.process.wait(60) == 0, up.printed()
    assert up.running() == {}
    assert up.printed().rstrip().endswith("Stopped.")


def _make_the_demo(up: RunningPlatform) -> None:
    address = f"http://127.0.0.1:{up.port}"
    made = ticketing(up.folder.parent, "seed", "--base-url", address)
    assert made.returncode == 0, made.stderr
    with urllib.request.urlopen(f"{address}/api/v1/events", timeout=30) as response:  # noqa: S310 (http)
        titles = {event["title"] for event in json.load(response)["data"]}
    assert titles == {
        "The Winter's Tale",
        "The Winter's Tale: matinee",
        "Northern Lights: the reunion",
        "Open air on the quay",
    }


@READS_PROC
def test_a_killed_up_leaves_no_orphans_and_the_next_one_finds_its_data(up: RunningPlatform) -> None:
    up.wait_until_ready()
    secrets = (up.folder / "secrets.env").read_text()
    second = ticketing(up.folder.parent, "up", "--data-dir", str(up.folder), "--port", str(free_port()))
    assert f"is in use by process {up.process.pid}" in error_of(second, 1)
    up.process.kill()
    up.process.wait()
    assert wait_for(lambda: not up.running(), 120), up.running()
    begun = time.monotonic()
    again = RunningPlatform(up.folder).wait_until_ready()
    assert time.monotonic() - begun < READY_SECONDS
    assert (up.folder / "secrets.env").read_text() == secrets
    again.process.send_signal(signal.SIGINT)
    assert again.process.wait(60) == 0, again.printed()


@READS_PROC
def test_up_can_be_stopped_while_it_starts(up: RunningPlatform) -> None:
    assert wait_for(lambda: "Starting" in up.printed(), 120)
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(60) == 0, up.printed()
    assert up.running() == {}
