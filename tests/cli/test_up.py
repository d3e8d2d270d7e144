"""The command line says what is wrong in one sentence, and `up` leaves nothing running, however it ends."""

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

OURS = ("JWT_SECRET", "MOCK_WEBHOOK_SECRET", "TICKET_SIGNING_KEY", "LOG_FORMAT", "LOG_LEVEL")
OPEN_SECONDS = 90


def environment(**more: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in OURS} | more


def ticketing(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return forking.run("ticketing.cli", *arguments, cwd=folder, env=environment(**variables))


def sentence(outcome: subprocess.CompletedProcess[str], status: int) -> str:
    """The one line that a failed command has written."""
    assert outcome.returncode == status, outcome
    assert outcome.stdout == ""
    lines = outcome.stderr.strip().splitlines()
    assert len(lines) == 1, outcome.stderr
    return lines[0]


@pytest.mark.parametrize("command", [["up"], ["serve"], ["worker"], ["migrate"]])
def test_a_wrong_variable_is_named(tmp_path: Path, command: list[str]) -> None:
    assert "REDIS_URL: must look like" in sentence(ticketing(tmp_path, *command, REDIS_URL="http://nowhere"), 2)


def test_production_says_what_is_missing(tmp_path: Path) -> None:
    assert "DATABASE_URL must be set" in sentence(ticketing(tmp_path, "up", ENVIRONMENT="production"), 2)


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = sentence(ticketing(tmp_path, "up", "--data-dir", "file/data", "--port", str(free_port())), 2)
    assert said.startswith("ticketing: DATA_DIR: ")


def test_migrating_nothing_names_the_variable(tmp_path: Path) -> None:
    assert "DATABASE_URL" in sentence(ticketing(tmp_path, "migrate"), 2)


def test_an_unknown_worker_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    assert "relay, consumers, scheduler, webhooks" in sentence(ticketing(tmp_path, "worker", "--only", "relay,cook"), 2)


def test_seeding_a_server_that_is_not_there_says_so(tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    assert address in sentence(ticketing(tmp_path, "seed", "--base-url", address), 1)


@pytest.mark.parametrize("command", ["up", "serve"])
def test_a_taken_port_says_so_and_which(tmp_path: Path, command: str) -> None:
    port = free_port()
    with listen("127.0.0.1", port):
        said = sentence(ticketing(tmp_path, command, "--port", str(port)), 2)
    assert f"Port {port} is taken" in said
    assert f"process {os.getpid()}" in said


class Opened:
    """A `ticketing up` in a process of its own."""

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

    def wait_until_open(self) -> "Opened":
        opened = wait_for(lambda: "is open" in self.said() or self.process.poll() is not None, OPEN_SECONDS)
        assert opened, self.said()
        assert self.process.poll() is None, self.said()
        return self

    def said(self) -> str:
        return self.output.read_text()

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def running(self) -> dict[int, str]:
        """Every process that `up` has started, found by the environment or the files that only they have."""
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
def opened(tmp_path: Path) -> Iterator[Opened]:
    platform = Opened(tmp_path / "data")
    yield platform
    platform.process.kill()
    platform.process.wait()
    assert wait_for(lambda: not platform.running(), 120), platform.running()


READS_PROC = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc")


@READS_PROC
def test_up_opens_mends_and_closes(opened: Opened) -> None:
    opened.wait_until_open()
    assert opened.answers()
    for fallen in (opened.pids("serve --fd")[0], opened.pids("--only consumers")[0], opened.pids("bin/postgres")[0]):
        os.kill(fallen, signal.SIGKILL)
    assert wait_for(lambda: len(opened.pids("serve --fd")) == 2 and bool(opened.pids("--only consumers")), 120)
    assert wait_for(opened.answers, 120)
    for name in ("api-", "consumers", "PostgreSQL"):
        assert f"{name}" in opened.said()
    assert "was ended by SIGKILL; starting it again" in opened.said()
    opened.process.send_signal(signal.SIGTERM)
    assert opened.process.wait(60) == 0, opened.said()
    assert opened.running() == {}
    assert opened.said().rstrip().endswith("Closed.")


@READS_PROC
def test_a_killed_up_leaves_no_orphans_and_the_next_one_has_the_data(opened: Opened) -> None:
    opened.wait_until_open()
    secrets = (opened.folder / "secrets.env").read_text()
    second = ticketing(opened.folder.parent, "up", "--data-dir", str(opened.folder), "--port", str(free_port()))
    assert f"is in use by process {opened.process.pid}" in sentence(second, 1)
    opened.process.kill()
    opened.process.wait()
    assert wait_for(lambda: not opened.running(), 120), opened.running()
    begun = time.monotonic()
    again = Opened(opened.folder).wait_until_open()
    assert time.monotonic() - begun < OPEN_SECONDS
    assert (opened.folder / "secrets.env").read_text() == secrets
    again.process.send_signal(signal.SIGINT)
    assert again.process.wait(60) == 0, again.said()


@READS_PROC
def test_up_can_be_stopped_while_it_opens(opened: Opened) -> None:
    assert wait_for(lambda: "Opening" in opened.said(), 120)
    opened.process.send_signal(signal.SIGINT)
    assert opened.process.wait(60) == 0, opened.said()
    assert opened.running() == {}
