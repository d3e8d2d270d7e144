"""Which code reads the machine's wall clock, and what a jump of it changes."""

import ast
import time
from pathlib import Path
from uuid import uuid4

import pytest

import ticketing
from ticketing.infra.security import access_tokens
from ticketing.infra.system import database_clock

SOURCE = Path(ticketing.__file__).parent
#: The files that may read the wall clock, each with what it is for. A jump must not change a decision.
READS_THE_WALL_CLOCK = {
    "demo/seed.py": "dates of the demo",
    "infra/formats/calendar_file.py": "DTSTAMP of a calendar entry",
    "infra/kafka/dead_letters.py": "a header for people",
    "infra/log.py": "log lines",
    "infra/mail.py": "the Date of an email",
    "infra/metrics.py": "a metric; the alert is computed in the database",
    "infra/system/database_clock.py": "until the database's time is known",
    "modules/payments/mock.py": "a signature's age: providers and receivers compare wall clocks",
    "modules/webhooks/delivery/sender.py": "Retry-After as a date of the receiver's clock, at most a day",
    "modules/webhooks/feed/service.py": "the time of a cursor that reads nothing older",
    "rehearsal": "the load generator",
    "workers/scheduler.py": "APScheduler's plan, which is made again after a jump",
}


def _reads_wall_clock(source: str) -> bool:
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)}
    return bool(
        calls & {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
    )


def test_the_wall_clock_decides_nothing_but_what_is_listed_here() -> None:
    found = {
        "rehearsal" if (name := path.relative_to(SOURCE)).parts[0] == "rehearsal" else name.as_posix()
        for path in SOURCE.rglob("*.py")
        if _reads_wall_clock(path.read_text("utf-8"))
    }
    assert found == READS_THE_WALL_CLOCK.keys()


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_clock, "_offset", None)


@pytest.mark.parametrize("jump", [-3600, 3600])
def test_a_jump_of_the_wall_clock_neither_expires_nor_extends_a_token(
    unmeasured: None, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    before = time.time()
    database_clock.measure(before, time.monotonic())
    theirs = access_tokens.issue_token(uuid4(), uuid4())
    monkeypatch.setattr(time, "time", lambda: before + jump)
    ours = access_tokens.issue_token(uuid4(), uuid4())
    for token in (theirs, ours):
        assert abs(access_tokens.check_token(token).expires_at.timestamp() - before - 900) < 60


def test_a_measurement_that_took_too_long_is_ignored(unmeasured: None) -> None:
    database_clock.measure(0, time.monotonic() - 2)
    assert abs(database_clock.now() - time.time()) < 1
