"""A crash point ends a process where it is told to, at the time that it is told, and nowhere else."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ticketing.infra import crash_points
from ticketing.infra.config import ConfigurationError, load_settings

SCRIPT = """
import sys
from ticketing.infra import crash_points
crash_points.arm(sys.argv[1])
for number in range(1, 4):
    print(number, flush=True)
    crash_points.at("before_produce")
    crash_points.at("after_produce_before_cursor")
"""


def end_of(where: str) -> tuple[int, str]:
    """How a process ends that comes by two points three times, and what it said until then."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, where], capture_output=True, text=True, timeout=30)
    return done.returncode, "".join(done.stdout.split())


@pytest.mark.parametrize(
    ("where", "end"),
    [
        ("", (0, "123")),
        ("before_produce", (-signal.SIGKILL, "1")),
        ("before_produce:2", (-signal.SIGKILL, "12")),
        ("before_produce:3:kill", (-signal.SIGKILL, "123")),
        ("after_commit_before_ack", (0, "123")),
        ("before_produce:4", (0, "123")),
    ],
)
def test_a_process_ends_at_the_point_and_the_time_that_were_named(where: str, end: tuple[int, str]) -> None:
    assert end_of(where) == end


@pytest.mark.skipif(not hasattr(os, "WCONTINUED"), reason="has no WCONTINUED")
def test_a_process_can_be_frozen_there_and_goes_on_when_it_is_woken() -> None:
    frozen = subprocess.Popen([sys.executable, "-c", SCRIPT, "before_produce:2:stop"], stdout=subprocess.PIPE)
    _, status = os.waitpid(frozen.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    os.kill(frozen.pid, signal.SIGCONT)
    said, _ = frozen.communicate(timeout=30)
    assert (said.split(), frozen.returncode) == ([b"1", b"2", b"3"], 0)


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("after_lunch", "must begin with one of after_batch_before_answers"),
        ("before_produce:0", "must look like name, name:3, name:stop or name:3:stop"),
        ("before_produce:stop:3", "must look like name, name:3, name:stop or name:3:stop"),
        ("before_produce:fly", "must look like name, name:3, name:stop or name:3:stop"),
    ],
)
def test_what_names_no_point_stops_the_start_with_a_sentence(
    where: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRASH_AT", where)
    with pytest.raises(ConfigurationError, match=f"CRASH_AT: {sentence}"):
        load_settings()


def test_every_point_is_somewhere_in_the_source() -> None:
    source = "\n".join(path.read_text() for path in Path(crash_points.__file__).parents[1].rglob("*.py"))
    assert [name for name in crash_points.POINTS if f'crash_points.at("{name}")' not in source] == []


def test_every_point_has_a_test_that_dies_there() -> None:
    tests = "\n".join(path.read_text() for path in Path(__file__).parents[1].glob("crashes/test_*.py"))
    named = set(re.findall(r'"(\w+?)(?::\d+)?"', tests))
    assert crash_points.POINTS.keys() - named == set()
