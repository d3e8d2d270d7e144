"""Named points at which a process can be made to die, so that tests can examine what it leaves behind.

A crash at a random moment rarely falls between a commit and the step that follows it, which is where messages get lost
or duplicated. `CRASH_AT=after_produce_before_cursor` kills this process at that point; `name:3` when it gets there for
the third time; `name:3:stop` freezes it (SIGSTOP) instead. Production refuses the setting, and a point that is not
armed costs one comparison.
"""

import os
import re
import signal
from dataclasses import dataclass
from signal import Signals

#: What has happened at each point, and what has not. Modules add theirs with `register`.
POINTS = {
    "after_commit_before_ack": "a request's messages are committed, and its client has no response",
    "before_effect_commits": "a consumer's effect is written and not committed",
    "after_effect_before_cursor": "a page of the log has had its effects, and its reader's cursor is before it",
    "after_effect_before_offset": "messages from Kafka have had their effects, and their offsets are not committed",
    "after_dead_letter_before_row": "Kafka has acknowledged a dead letter, and the dead_letters table lacks it",
    "after_dead_letter_before_offset": "a dead letter is stored, and its message's offset is not committed",
    "after_letter_before_inbox": "a mail server has accepted an email, and the inbox lacks its message",
    "before_produce": "the relay has read a page of the log, and Kafka has none of it",
    "amid_produce": "librdkafka has a part of a page, and the rest has not been handed to it",
    "after_produce_before_cursor": "Kafka has acknowledged a page of the log, and the relay's cursor is before it",
    "before_job_commits": "a scheduled job has done its work and not committed",
}

_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


@dataclass(slots=True)
class _Armed:
    """The point at which this process ends, when it gets there for the `times`-th time."""

    name: str
    times: int
    signal: Signals


_armed: _Armed | None = None


def at(name: str) -> None:
    """Mark the point `name`. If it is armed, the process ends here without any clean-up."""
    if _armed is not None and _armed.name == name:
        _armed.times -= 1
        if _armed.times == 0:
            os.kill(os.getpid(), _armed.signal)


def register(name: str, meaning: str) -> None:
    """Add a module's point, when the module is imported."""
    POINTS[name] = meaning


def arm(value: str) -> None:
    """Arm the point that CRASH_AT names; none when it is empty. Raises ValueError, like `parse`."""
    global _armed
    _armed = parse(value) if value else None


def check_armed() -> None:
    """Check the armed name, after all modules have been imported. Raises ValueError when no point has it."""
    if _armed is not None and _armed.name not in POINTS:
        raise ValueError(f"CRASH_AT: must begin with one of {', '.join(sorted(POINTS))}")


def parse(value: str) -> _Armed:
    """Parse CRASH_AT. Raises ValueError when it is not `name[:nth][:kill|stop]`."""
    name, _, rest = value.partition(":")
    nth, _, end = rest.partition(":") if rest[:1].isdigit() else ("1", "", rest)
    is_name = re.fullmatch(r"[a-z_]+", name) is not None
    if not is_name or not nth.isdecimal() or int(nth) < 1 or (end or "kill") not in _SIGNALS:
        raise ValueError("must look like name, name:3, name:stop or name:3:stop")
    return _Armed(name, int(nth), _SIGNALS[end or "kill"])
