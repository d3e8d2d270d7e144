"""Named places at which a process can be made to die, so that tests can look at what it leaves behind.

A crash at a random moment rarely falls between a commit and what comes after it, and there a message gets lost or
doubled. `CRASH_AT=after_produce_before_cursor` kills this process there; `name:3` at the third time that it comes by,
`name:3:stop` freezes it (SIGSTOP) instead. Nothing is armed in production, and what is not armed costs a comparison.
"""

import os
import signal
from dataclasses import dataclass
from signal import Signals

#: What each stands between.
POINTS = {
    "after_commit_before_ack": "a request's facts are committed, and its client has not heard so",
    "after_batch_before_answers": "a batch of holds is committed, and nobody in it has heard so",
    "before_effect_commits": "a consumer has had its effect, and nothing of it is committed",
    "after_effect_before_cursor": "a page of the log has had its effects, and its reader's cursor stands before it",
    "after_effect_before_offset": "messages from Kafka have had their effects, and their offsets are not committed",
    "after_dead_letter_before_row": "Kafka has acknowledged a dead letter, and the operator's table does not have it",
    "after_dead_letter_before_offset": "a dead letter is written down, and its message's offset is not committed",
    "after_letter_before_inbox": "a mail server has taken a letter, and the inbox does not know",
    "after_refund_before_commit": "a provider has given money back, and we have not written it down",
    "after_version_before_frames": "the version of a seat map is raised, and no viewer has been sent the frame",
    "after_frames_before_cursor": "frames of a seat map are sent, and their reader's cursor stands before their cause",
    "before_produce": "the relay has read a page of the log, and Kafka has none of it",
    "amid_produce": "librdkafka has a part of a page, and the rest is still ours",
    "after_produce_before_cursor": "Kafka has acknowledged a page of the log, and the relay's cursor stands before it",
    "before_deliveries_commit": "deliveries of webhooks are written and the cursor moved, and nothing is committed",
    "after_webhook_before_note": "a receiver has taken webhooks, and nothing of it is written down",
    "before_job_commits": "a job by the clock has done its work, and nothing of it is committed",
}

_WAYS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


@dataclass(slots=True)
class _Armed:
    """One point at which this process ends, after so many more times that it comes by."""

    name: str
    times: int
    way: Signals


_armed: _Armed | None = None


def at(name: str) -> None:
    """This is the place called `name`: where it is armed, the process ends here, without a word."""
    if _armed is not None and _armed.name == name:
        _armed.times -= 1
        if _armed.times == 0:
            os.kill(os.getpid(), _armed.way)


def arm(where: str) -> None:
    """Arm what CRASH_AT says; nothing when it is empty.

    Raises:
        ValueError: `where` is not `name[:nth][:kill|stop]` with a name from POINTS.
    """
    global _armed
    _armed = read(where) if where else None


def read(where: str) -> _Armed:
    """What CRASH_AT says. Raises ValueError with what would be right."""
    name, _, rest = where.partition(":")
    if name not in POINTS:
        raise ValueError(f"must begin with one of {', '.join(sorted(POINTS))}")
    nth, _, way = rest.partition(":") if rest[:1].isdigit() else ("1", "", rest)
    if not nth.isdecimal() or int(nth) < 1 or (way or "kill") not in _WAYS:
        raise ValueError("must look like name, name:3, name:stop or name:3:stop")
    return _Armed(name, int(nth), _WAYS[way or "kill"])
