"""Holds without Kafka or Valkey: the p99 of a steady stream while one of them is away, by turns with all there.

A round without begins when the server has been away for a moment: the holds that are the first to miss it wait a
quarter of a second for it, once in an outage, which is not what is asked here. Rounds with begin when the relay has
carried all that it has missed.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from benchmarks import proof
from benchmarks.backbone_stage import Backbone
from benchmarks.generator import Load
from benchmarks.result import Result
from benchmarks.rounds import SECONDS, by_turns, tell
from ticketing.infra.outbox import UNREAD

RATE, CONNECTIONS = 300, 32
#: A p99 wants some hundred answers.
ROUND_SECONDS = 2 * SECONDS
#: So long is a server away, with holds going on, before a round begins.
MARGIN_SECONDS = 1.0
CARRIED_SECONDS = 120
BAR = 1.1

_UNREAD = f"select exists (select from outbox o, outbox_cursor r where r.reader = 'relay' and {UNREAD})"  # noqa: S608 (a constant)

Away = Callable[[Backbone], AbstractContextManager[None]]


def run(backbone: Backbone) -> list[Result]:
    """All workers are at work beside."""
    with ExitStack() as stack:
        stack.enter_context(backbone.stage.running("ticketing.cli", "worker", name="workers"))
        results = [_compare(backbone, name, away) for name, away in AWAY.items()]
    proof.keeps_invariants(backbone.crowd)
    return results


def _compare(backbone: Backbone, name: str, away: Away) -> Result:
    def without() -> float:
        with away(backbone):
            _hold(backbone, MARGIN_SECONDS)
            return _p99(backbone, f"without {name}")

    ratio = by_turns(without, lambda: _p99(backbone, "with all"))
    meaning = f"p99 of {RATE} holds a second without {name}, in times of that with all servers there"
    return Result(f"hold_p99_without_{name.replace(' ', '_')}", ratio, BAR, meaning)


def _p99(backbone: Backbone, when: str) -> float:
    p99 = _hold(backbone, ROUND_SECONDS).p99
    tell(f"p99 of a hold {when}", p99 * 1000, " ms")
    return p99


def _hold(backbone: Backbone, seconds: float) -> Load:
    crowd, generator = backbone.crowd, backbone.stage.generator
    show = crowd.show(int(RATE * seconds))
    requests = generator.write(crowd.requests(show))
    load = generator.run(requests, CONNECTIONS, seconds=seconds, rate=RATE)
    proof.is_right(crowd, show, load.expect(201))
    return load


@contextmanager
def _no_kafka(backbone: Backbone) -> Iterator[None]:
    """It takes connections and says nothing; stopping it takes no time, and starting it would take many seconds."""
    with _stopped(backbone.broker.pid or 0):
        yield
    _until_carried(backbone)


@contextmanager
def _no_valkey(backbone: Backbone) -> Iterator[None]:
    """Nobody listens at its address."""
    valkey = backbone.stage.servers[2]
    if valkey.process is not None:
        valkey.process.kill()
        valkey.process.wait()
    yield
    valkey.launch()
    valkey.wait_until_ready()
    _until_carried(backbone)


@contextmanager
def _silent_valkey(backbone: Backbone) -> Iterator[None]:
    """It takes connections and says nothing."""
    process = backbone.stage.servers[2].process
    with _stopped(process.pid if process else 0):
        yield
    _until_carried(backbone)


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _until_carried(backbone: Backbone) -> None:
    deadline = time.monotonic() + CARRIED_SECONDS
    while backbone.database.execute(_UNREAD.encode()).fetchone() != (False,):
        if time.monotonic() > deadline:
            raise SystemExit("the relay does not carry what it has missed")
        time.sleep(0.2)
    time.sleep(MARGIN_SECONDS)


AWAY: dict[str, Away] = {"kafka": _no_kafka, "valkey": _no_valkey, "word of valkey": _silent_valkey}
