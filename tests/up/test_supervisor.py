"""The supervisor restarts processes that fail, stops all of them in order, and leaves no orphans."""

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
from ticketing.up.child import Child, describe_exit
from ticketing.up.supervisor import Stopping, Supervisor

SOURCE = str(Path(module.__file__).parents[2])
WELL_BEHAVED = "import time; print('up', flush=True); time.sleep(60)"
IGNORES_SIGTERM = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
#: Writes before the interpreter shuts down: the kernel and the lifeline may both send SIGTERM, and the second one would
#: interrupt the output of the first. The grace period is long, because a busy machine may take seconds for the exit.
FOLLOWER = (
    "import os, signal, time; from ticketing.up import child; child.LIFELINE_GRACE_SECONDS = 60; "
    "signal.signal(15, lambda *_: (os.write(1, b'drained'), os._exit(0))); "
    "child.follow_supervisor(); print('up', flush=True); time.sleep(60)"
)


class SupervisedPrograms:
    """A supervisor of small Python programs, with a log file for each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.warnings: list[str] = []
        self.supervisor = Supervisor(warn=self.warnings.append)

    def child(self, name: str, script: str, stop_order: int = 0, **more: object) -> Child:
        log = self.folder / f"{name}.log"
        environment = {**os.environ, "PYTHONPATH": SOURCE}
        launch = self.supervisor.command([sys.executable, "-c", script], environment, log)
        return Child(name, launch, stop_order=stop_order, log=log, **more)  # type: ignore[arg-type]

    def start(self, name: str, script: str, stop_order: int = 0, **more: object) -> Child:
        child = self.child(name, script, stop_order, **more)
        self.supervisor.start(child)
        assert self.supervisor.wait_until(lambda: "up" in child.log.read_text(), 60)  # type: ignore[union-attr]
        return child


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[SupervisedPrograms]:
    programs = SupervisedPrograms(tmp_path)
    yield programs
    programs.supervisor.stop_requests = 2
    programs.supervisor.stop()


def test_a_killed_child_is_restarted_with_a_warning(programs: SupervisedPrograms) -> None:
    child = programs.start("api-1", WELL_BEHAVED)
    first = child.process
    assert first is not None
    os.kill(first.pid, SIGKILL)
    assert programs.supervisor.wait_until(lambda: child.is_running and child.process is not first, 60)
    assert programs.warnings == [f"api-1 was ended by SIGKILL; restarting in 0.5 s. Log: {child.log}"]


def test_the_back_off_grows_with_each_failure_up_to_a_limit(
    programs: SupervisedPrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RESTART_SECONDS", 0.01)
    monkeypatch.setattr(module, "RESTART_SECONDS_MAX", 0.04)
    programs.supervisor.start(programs.child("relay", "raise SystemExit(3)"))
    assert programs.supervisor.wait_until(lambda: len(programs.warnings) >= 4, 60)
    delays = [line.partition("restarting in ")[2].split(" ")[0] for line in programs.warnings[:4]]
    assert delays == ["0.01", "0.02", "0.04", "0.04"]
    assert "relay exited with status 3" in programs.warnings[0]


def test_the_back_off_starts_again_after_a_long_run(
    programs: SupervisedPrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RAN_WELL_SECONDS", 0.0)
    monkeypatch.setattr(module, "RESTART_SECONDS", 0.01)
    programs.supervisor.start(programs.child("relay", "pass"))
    assert programs.supervisor.wait_until(lambda: len(programs.warnings) >= 3, 60)
    assert all("restarting in 0.01 s" in line for line in programs.warnings)


class Clock:
    """A clock that advances only in `sleep`."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_the_back_off_is_five_seconds_at_most_and_reset_after_running_for_ten_seconds(
    programs: SupervisedPrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    runs = iter([0, 0, 1, 0, 0, 0, 9.9, 10, 0])

    def run_and_fail() -> "subprocess.Popen[bytes]":
        clock.sleep(next(runs))
        raise OSError("no")

    programs.supervisor.start(Child("api-1", run_and_fail))
    assert programs.supervisor.wait_until(lambda: len(programs.warnings) >= 9, 100)
    delays = [float(line.partition("restarting in ")[2].split(" ")[0]) for line in programs.warnings]
    assert delays == [0.5, 1, 2, 4, 5, 5, 5, 0.5, 1]
    programs.supervisor.children.clear()


def test_a_program_that_cannot_be_started_is_retried(
    programs: SupervisedPrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "dying_with_parent", lambda signal: [])
    programs.supervisor.start(Child("ghost", programs.supervisor.command(["/no/such/program"], {}, None)))
    assert "ghost could not be started" in programs.warnings[0]


def test_children_stop_in_their_order(programs: SupervisedPrograms) -> None:
    script = "import signal, sys, time; from pathlib import Path\n"
    script += "def end(*_):\n  time.sleep(.2); open({ends!r}, 'a').write({name!r}); sys.exit()\n"
    script += "signal.signal(15, end); print('up', flush=True); time.sleep(60)"
    ends = programs.folder / "ends"
    for name, number in (("c", 2), ("a", 0), ("b", 1)):
        programs.start(name, script.format(ends=str(ends), name=name), stop_order=number)
    programs.supervisor.stop_requests = 1
    programs.supervisor.stop()
    assert ends.read_text() == "abc"
    programs.supervisor = Supervisor(warn=programs.warnings.append)


def test_a_child_that_ignores_sigterm_is_killed_after_its_timeout(programs: SupervisedPrograms) -> None:
    child = programs.start("stubborn", IGNORES_SIGTERM, stop_steps=((SIGTERM, 0.3), (SIGKILL, 30.0)))
    process = child.process
    begun = time.monotonic()
    programs.supervisor.stop()
    assert process is not None
    assert process.returncode == -SIGKILL
    assert 0.3 <= time.monotonic() - begun < 30
    programs.supervisor = Supervisor(warn=programs.warnings.append)


def test_a_second_request_to_stop_shortens_the_timeouts(programs: SupervisedPrograms) -> None:
    programs.start("stubborn", IGNORES_SIGTERM, stop_steps=((SIGTERM, 300.0), (SIGKILL, 30.0)))
    programs.supervisor.handle_signals()
    try:
        os.kill(os.getpid(), signal.SIGINT)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
        begun = time.monotonic()
        programs.supervisor.stop()
        assert 0.3 <= time.monotonic() - begun < 30
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    programs.supervisor = Supervisor(warn=programs.warnings.append)


def test_waiting_ends_when_a_stop_is_requested(programs: SupervisedPrograms) -> None:
    programs.supervisor.stop_requests = 1
    with pytest.raises(Stopping):
        programs.supervisor.wait_until(lambda: False, 60)


def test_a_program_that_runs_once_returns_its_status_and_is_not_restarted(programs: SupervisedPrograms) -> None:
    assert programs.supervisor.run_once(programs.child("migrate", "raise SystemExit(4)"), 60) == 4
    assert programs.supervisor.run_once(programs.child("slow", WELL_BEHAVED), 0.5) == -SIGTERM
    assert programs.warnings == []


def test_a_log_that_is_too_large_is_rotated(programs: SupervisedPrograms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOG_BYTES_MAX", 1)
    monkeypatch.setattr(module, "LOG_CHECK_SECONDS", 0.0)
    child = programs.child("api-1", WELL_BEHAVED)
    programs.supervisor.start(child)
    assert child.log is not None
    rotated = child.log.with_suffix(".log.1")
    assert programs.supervisor.wait_until(rotated.exists, 60)
    assert rotated.read_text() == "up\n"
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
it = supervisor.Supervisor(warn=print)
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


def test_the_exit_of_a_process_is_described() -> None:
    assert describe_exit(0) == "exited with status 0"
    assert describe_exit(-9) == "was ended by SIGKILL"
    assert describe_exit(-200) == "was ended by signal 200"
