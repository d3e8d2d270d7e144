"""A hold's way from the request to every screen, as a list of steps that point at the code which does them.

Python is named by the objects themselves, so a renamed function breaks the import; for scripts a test looks for the
name in the file.
"""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ticketing.admission import Admission
from ticketing.docgen.codebase import SOURCE
from ticketing.infra.bus.log_consumer import LogConsumer
from ticketing.infra.db import Database
from ticketing.infra.group_commit import GroupCommit
from ticketing.infra.group_commit.fair_queue import FairQueue
from ticketing.infra.http.request_context import RequestContext
from ticketing.infra.kafka import consumer as kafka_consumer
from ticketing.infra.kafka.producer import KafkaProducer
from ticketing.infra.outbox.publish import append
from ticketing.infra.outbox.reader import LogReader
from ticketing.infra.redis.commit_notifications import CommitListener, CommitNotifier
from ticketing.modules.events.inventory import seat_batch
from ticketing.modules.realtime import frames
from ticketing.modules.realtime.api import stream_seats
from ticketing.modules.realtime.channel import Channel
from ticketing.modules.realtime.hub import Hub
from ticketing.modules.realtime.stream import SeatStream, begin_stream
from ticketing.modules.reservations import api
from ticketing.modules.reservations.hold import writes
from ticketing.modules.reservations.hold.batch import Batch
from ticketing.modules.reservations.hold.batcher import Holds
from ticketing.modules.reservations.hold.fast_path import FastPathHolds
from ticketing.modules.reservations.hold.inventory import LockedInventory
from ticketing.workers.relay import Relay


@dataclass(frozen=True)
class Script:
    """A class, or a method of a class, of the browser side."""

    file: str
    name: str


@dataclass(frozen=True)
class Step:
    """What happens, in which process, and the code that does it; `after` lists the steps that lead here."""

    id: str
    place: str
    title: str
    text: str
    code: tuple[Any, ...]
    after: tuple[str, ...] = ()


_BUYER, _API, _POSTGRES = "Buyer's browser", "API process", "PostgreSQL"
_WORKERS, _OUTSIDE = "Workers", "Kafka and Redis"
_STREAMS, _VIEWERS = "API process of a viewer", "Viewer's browser"

STEPS = (
    Step(
        "press",
        _BUYER,
        "press Hold",
        "The page sends `POST /api/v1/reservations` with an `Idempotency-Key`.",
        (Script("js/buying/purchase-store.js", "PurchaseStore.hold"),),
    ),
    Step(
        "limits",
        _API,
        "limits",
        "The request gets a correlation id; its size and its rate limits are checked before anything is parsed.",
        (RequestContext, Admission),
        ("press",),
    ),
    Step(
        "fast",
        _API,
        "fast path or route",
        "A well-formed request is answered without the framework; anything unusual goes to the route, which defines "
        "the contract. Both submit the same request.",
        (FastPathHolds, api.hold_seats),
        ("limits",),
    ),
    Step(
        "queue",
        _API,
        "fair queue",
        "The request waits in a bounded queue of its organization. A full queue gives 503 `overloaded` at once.",
        (Holds.submit, GroupCommit.add, FairQueue.add),
        ("fast",),
    ),
    Step(
        "batch",
        _API,
        "batch",
        "Requests that arrive while a batch commits form the next one; organizations take turns.",
        (FairQueue.take, GroupCommit._run_worker),
        ("queue",),
    ),
    Step(
        "transaction",
        _POSTGRES,
        "one transaction",
        "It locks the seats (skipping locked ones), decides in order of arrival, then writes seats, reservations, "
        "idempotency keys and outbox rows, and commits: two or three round trips, whatever the size of the batch.",
        (
            Batch.run,
            seat_batch.lock_seats,
            LockedInventory.grant,
            seat_batch.hold_locked,
            writes.insert_holds,
            append,
        ),
        ("batch",),
    ),
    Step(
        "response",
        _API,
        "201 or 409",
        "Only after the commit does each request of the batch get its response.",
        (Holds.commit,),
        ("transaction",),
    ),
    Step(
        "notification",
        _OUTSIDE,
        "commit notification",
        "A message on the Redis channel `outbox` wakes the readers. It may be lost: readers poll as well.",
        (Database.notify_changed, CommitNotifier.send, CommitListener.listening),
        ("transaction",),
    ),
    Step(
        "relay",
        _WORKERS,
        "relay",
        "With Kafka, the relay reads pages of the outbox log under a lease and publishes them; its cursor moves after "
        "the broker has acknowledged.",
        (Relay.relay_pages, LogReader.read_page, KafkaProducer.publish),
        ("notification",),
    ),
    Step(
        "topic",
        _OUTSIDE,
        "topic reservation.created",
        "The partition is chosen by the reservation's id, so one reservation's messages stay in order.",
        (kafka_consumer.consume,),
        ("relay",),
    ),
    Step(
        "log",
        _WORKERS,
        "log reader",
        "Without Kafka, each consumer group reads the outbox log itself, with a cursor of its own.",
        (LogConsumer.run, LogReader.read),
        ("notification",),
    ),
    Step(
        "frames",
        _WORKERS,
        "realtime consumer",
        "It raises the version of the seat map, reads the present states of the seats touched, commits, and then "
        "publishes one frame per event.",
        (frames.SeatFrames.consume, frames.make_frames),
        ("topic", "log"),
    ),
    Step(
        "pubsub",
        _OUTSIDE,
        "channel seats:{event_id}",
        "Redis pub/sub carries the frame to every API process. A lost frame is found by comparing versions.",
        (frames.SeatFrames._publish, Hub._listen),
        ("frames",),
    ),
    Step(
        "hub",
        _STREAMS,
        "hub",
        "One subscription per process; the channel of the event merges frames to a few per second and wakes its "
        "viewers.",
        (Hub._take, Channel.take),
        ("pubsub",),
    ),
    Step(
        "stream",
        _STREAMS,
        "event stream",
        "A frame is encoded once and its bytes are shared by all viewers. A stream holds no database connection.",
        (stream_seats, begin_stream, SeatStream),
        ("hub",),
    ),
    Step(
        "screen",
        _VIEWERS,
        "seat map",
        "The browser applies the changes in order of version and redraws those seats.",
        (
            Script("js/api/seat-stream.js", "SeatStream"),
            Script("js/seatmap/seats.js", "Seats.applyChanges"),
            Script("js/seatmap/seat-map.js", "SeatMap.seatsChanged"),
        ),
        ("stream",),
    ),
)


def picture() -> Iterator[str]:
    """The Mermaid flowchart, grouped by process."""
    yield "flowchart TB"
    for position, place in enumerate(dict.fromkeys(step.place for step in STEPS), 1):
        yield f'  subgraph place{position} ["{place}"]'
        for number, step in enumerate(STEPS, 1):
            if step.place == place:
                yield f'    {step.id}["{number}. {step.title}"]'
        yield "  end"
    yield from (f"  {before} --> {step.id}" for step in STEPS for before in step.after)


def table() -> Iterator[str]:
    """The steps in words, each with its code."""
    yield "| step | what happens | code |"
    yield "|---|---|---|"
    for number, step in enumerate(STEPS, 1):
        yield f"| {number}. {step.title} | {step.text} | {', '.join(map(name_of, step.code))} |"


def name_of(code: Any) -> str:
    """File and name, with the file as a link."""
    if isinstance(code, Script):
        return _linked(f"web/{code.file}", code.name)
    # A route is a plain function, whatever the framework made of it.
    path = inspect.getsourcefile(inspect.unwrap(code))
    assert path is not None, code  # all of these are written in Python
    return _linked(path.removeprefix(f"{SOURCE}/"), code.__qualname__)


def _linked(file: str, name: str) -> str:
    return f"[`{name}`](../src/ticketing/{file})"
