"""The supervisor starts again what falls, ends everything in order, and leaves nothing behind, however it goes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL, SIGTERM

import pytest

from ticketing.infra.system.processes import wait_for
from ticketing.up import supervisor as module
from ticketing.up.child import Child, describe_end
from ticketing.up.supervisor import Stopping, Supervisor

SOURCE = str(Path(module.__file__).parents[2])
POLITE = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
FOLLOWER = (
    "import signal, sys, time; from ticketing.up.child import follow_supervisor; "
    "signal.signal(15, lambda *_: sys.exit('drained')); follow_supervisor(); print('up', flush=True); time.sleep(60)"
)


class Stage:
    """A supervisor with dummy children whose output goes to files of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.supervisor = Supervisor(tell=self.said.append)

    def child(self, name: str, script: str, stage: int = 0, **more: object) -> Child:
        log = self.folder / f"{name}.log"
        environment = {**os.environ, "PYTHONPATH": SOURCE}
        launch = self.supervisor.command([sys.executable, "-c", script], environment, log)
        return Child(name, launch, stage=stage, log=log, **more)  # type: ignore[arg-type]

    def start(self, name: str, script: str, stage: int = 0, **more: object) -> Child:
        child = self.child(name, script, stage, **more)
        self.supervisor.start(child)
        assert self.supervisor.wait_until(lambda: "up" in child.log.read_text(), 60)  # type: ignore[union-attr]
        return child


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.supervisor.stop_requests = 2
    stage.supervisor.stop()


def test_a_fallen_child_is_started_again_and_said_so(stage: Stage) -> None:
    child = stage.start("api-1", POLITE)
    first = child.process
    assert first is not None
    os.kill(first.pid, SIGKILL)
    assert stage.supervisor.wait_until(lambda: child.is_running and child.process is not first, 60)
    assert stage.said == [f"api-1 was ended by SIGKILL; starting it again in 0.5 s. Its log: {child.log}"]


def test_the_delay_grows_while_a_child_keeps_falling_and_has_a_limit(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RESTART_SECONDS", 0.01)
    monkeypatch.setattr(module, "RESTART_SECONDS_MAX", 0.04)
    stage.supervisor.start(stage.child("relay", "raise SystemExit(3)"))
    assert stage.supervisor.wait_until(lambda: len(stage.said) >= 4, 60)
    delays = [line.partition(" again in ")[2].split(" ")[0] for line in stage.said[:4]]
    assert delays == ["0.01", "0.02", "0.04", "0.04"]
    assert "relay ended with status 3" in stage.said[0]


def test_a_child_that_ran_well_is_forgiven(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RAN_WELL_SECONDS", 0.0)
    monkeypatch.setattr(module, "RESTART_SECONDS", 0.01)
    stage.supervisor.start(stage.child("relay", "pass"))
    assert stage.supervisor.wait_until(lambda: len(stage.said) >= 3, 60)
    assert all("again in 0.01 s" in line for line in stage.said)


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_who_keeps_falling_waits_five_seconds_at_most_and_who_ran_for_ten_begins_anew(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    runs = iter([0, 0, 1, 0, 0, 0, 9.9, 10, 0])

    def run_and_fall() -> "subprocess.Popen[bytes]":
        clock.sleep(next(runs))
        raise OSError("no")

    stage.supervisor.start(Child("api-1", run_and_fall))
    assert stage.supervisor.wait_until(lambda: len(stage.said) >= 9, 100)
    delays = [float(line.partition(" again in ")[2].split(" ")[0]) for line in stage.said]
    assert delays == [0.5, 1, 2, 4, 5, 5, 5, 0.5, 1]
    stage.supervisor.children.clear()


def test_a_program_that_is_missing_is_tried_again_too(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "dying_with_parent", lambda signal: [])
    stage.supervisor.start(Child("ghost", stage.supervisor.command(["/no/such/program"], {}, None)))
    assert "ghost could not be started" in stage.said[0]


def test_stages_end_in_order(stage: Stage) -> None:
    script = "import signal, sys, time; from pathlib import Path\n"
    script += "def end(*_):\n  time.sleep(.2); open({ends!r}, 'a').write({name!r}); sys.exit()\n"
    script += "signal.signal(15, end); print('up', flush=True); time.sleep(60)"
    ends = stage.folder / "ends"
    for name, number in (("c", 2), ("a", 0), ("b", 1)):
        stage.start(name, script.format(ends=str(ends), name=name), stage=number)
    stage.supervisor.stop_requests = 1
    stage.supervisor.stop()
    assert ends.read_text() == "abc"
    stage.supervisor = Supervisor(tell=stage.said.append)


def test_a_child_that_does_not_listen_is_killed_after_its_time(stage: Stage) -> None:
    child = stage.start("deaf", STUBBORN, stop_steps=((SIGTERM, 0.3), (SIGKILL, 30.0)))
    process = child.process
    begun = time.monotonic()
    stage.supervisor.stop()
    assert process is not None
    assert process.returncode == -SIGKILL
    assert 0.3 <= time.monotonic() - begun < 30
    stage.supervisor = Supervisor(tell=stage.said.append)


def test_a_second_request_to_stop_hastens(stage: Stage) -> None:
    stage.start("deaf", STUBBORN, stop_steps=((SIGTERM, 300.0), (SIGKILL, 30.0)))
    stage.supervisor.handle_signals()
    try:
        os.kill(os.getpid(), signal.SIGINT)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
        begun = time.monotonic()
        stage.supervisor.stop()
        assert 0.3 <= time.monotonic() - begun < 30
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    stage.supervisor = Supervisor(tell=stage.said.append)


def test_waiting_ends_when_somebody_asks_us_to_stop(stage: Stage) -> None:
    stage.supervisor.stop_requests = 1
    with pytest.raises(Stopping):
        stage.supervisor.wait_until(lambda: False, 60)


def test_a_program_that_runs_once_gives_its_status_and_is_not_started_again(stage: Stage) -> None:
    assert stage.supervisor.run_once(stage.child("migrate", "raise SystemExit(4)"), 60) == 4
    assert stage.supervisor.run_once(stage.child("slow", POLITE), 0.5) == -SIGTERM
    assert stage.said == []


def test_a_log_that_grew_too_large_is_put_aside(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOG_BYTES_MAX", 1)
    monkeypatch.setattr(module, "LOG_CHECK_SECONDS", 0.0)
    child = stage.child("api-1", POLITE)
    stage.supervisor.start(child)
    assert child.log is not None
    aside = child.log.with_suffix(".log.1")
    assert stage.supervisor.wait_until(aside.exists, 60)
    assert aside.read_text() == "up\n"
    assert child.log.read_text() == ""


@pytest.mark.parametrize("kernel_helps", [True, False], ids=["kernel", "pipe"])
def test_a_killed_supervisor_leaves_no_orphans(tmp_path: Path, kernel_helps: bool) -> None:
    script = f"""
import os, sys, time
from pathlib import Path
from ticketing.up import supervisor
from ticketing.up.child import Child
if not {kernel_helps}:
    supervisor.dying_with_parent = lambda signal: []
it = supervisor.Supervisor(tell=print)
launch = it.command([sys.executable, "-c", {FOLLOWER!r}], dict(os.environ), Path({str(tmp_path / "log")!r}))
child = Child("follower", launch)
it.start(child)
print(child.process.pid, flush=True)
it.run()
"""
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    log = tmp_path / "log"
    assert wait_for(lambda: "up" in log.read_text(), 60)
    parent.kill()
    parent.communicate()
    assert wait_for(lambda: "drained" in log.read_text(), 60)
    assert wait_for(lambda: not _is_running(pid), 60)


def _is_running(pid: int) -> bool:
    if Path("/proc").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
        except OSError:
            return False
    return subprocess.run(["ps", "-p", str(pid)], capture_output=True).returncode == 0


def test_the_end_of_a_process_is_told_in_words() -> None:
    assert describe_end(0) == "ended with status 0"
    assert describe_end(-9) == "was ended by SIGKILL"
    assert describe_end(-200) == "was ended by signal 200"
