"""A crash point ends a process at the armed point and count, and nowhere else."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ticketing.infra import crash_points
from ticketing.infra.config import ConfigurationError, load_settings
from ticketing.main import create_app

SCRIPT = """
import sys
from ticketing.infra import crash_points
crash_points.arm(sys.argv[1])
for number in range(1, 4):
    print(number, flush=True)
    crash_points.at("before_produce")
    crash_points.at("after_produce_before_cursor")
"""


def run_script(crash_at: str) -> tuple[int, str]:
    """The exit status of a process that reaches two points three times, and what it had printed."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, crash_at], capture_output=True, text=True, timeout=30)
    return done.returncode, "".join(done.stdout.split())


@pytest.mark.parametrize(
    ("crash_at", "end"),
    [
        ("", (0, "123")),
        ("before_produce", (-signal.SIGKILL, "1")),
        ("before_produce:2", (-signal.SIGKILL, "12")),
        ("before_produce:3:kill", (-signal.SIGKILL, "123")),
        ("after_commit_before_ack", (0, "123")),
        ("before_produce:4", (0, "123")),
    ],
)
def test_a_process_ends_at_the_armed_point_and_count(crash_at: str, end: tuple[int, str]) -> None:
    assert run_script(crash_at) == end


@pytest.mark.skipif(not hasattr(os, "WCONTINUED"), reason="has no WCONTINUED")
def test_a_process_can_be_frozen_at_a_point_and_continued() -> None:
    frozen = subprocess.Popen([sys.executable, "-c", SCRIPT, "before_produce:2:stop"], stdout=subprocess.PIPE)
    _, status = os.waitpid(frozen.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    os.kill(frozen.pid, signal.SIGCONT)
    printed, _ = frozen.communicate(timeout=30)
    assert (printed.split(), frozen.returncode) == ([b"1", b"2", b"3"], 0)


@pytest.mark.parametrize("crash_at", ["after lunch", "before_produce:0", "before_produce:stop:3", "before_produce:fly"])
def test_a_malformed_setting_stops_the_start_with_a_sentence(crash_at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRASH_AT", crash_at)
    with pytest.raises(ConfigurationError, match="CRASH_AT: must look like name, name:3, name:stop or name:3:stop"):
        load_settings()


def test_an_unknown_point_stops_the_start_once_all_modules_are_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crash_points, "_armed", crash_points.parse("after_lunch"))
    with pytest.raises(ValueError, match="CRASH_AT: must begin with one of after_batch_before_answers"):
        create_app()


def test_every_point_is_reached_somewhere_in_the_source() -> None:
    source = "\n".join(path.read_text() for path in Path(crash_points.__file__).parents[1].rglob("*.py"))
    assert [name for name in crash_points.POINTS if f'crash_points.at("{name}")' not in source] == []


def test_every_point_has_a_test_that_crashes_there() -> None:
    tests = "\n".join(path.read_text() for path in Path(__file__).parents[1].glob("crashes/test_*.py"))
    named = set(re.findall(r'"(\w+?)(?::\d+)?"', tests))
    assert crash_points.POINTS.keys() - named == set()
