"""How long a fact takes from its commit to Kafka's acknowledgement, beside a thousand holds a second."""

from datetime import datetime
from statistics import quantiles

from benchmarks import proof
from benchmarks.backbone_stage import Backbone
from benchmarks.crowd import Crowd
from benchmarks.drain import await_rows
from benchmarks.result import Result
from benchmarks.rounds import tell
from ticketing.modules.reservations.messages import ReservationCreated

RATE, CONNECTIONS, SECONDS = 1000, 64, 20
#: The bar, and in seconds.
BAR_SECONDS = 0.05
TOPICS = [ReservationCreated.topic]

_COMMITS = """
select message_id::text, pg_xact_commit_timestamp(xid::xid)
  from outbox where topic = any(%s) and id > %s"""


def run(backbone: Backbone) -> list[Result]:
    """Commits by Postgres' time, appends by the broker's (in milliseconds, cut off), on one machine."""
    crowd = backbone.crowd
    with backbone.stage.running("ticketing.cli", "worker", "--only", "relay", name="carrier"):
        _warm_up(backbone, crowd)
        delays = _delays(backbone, crowd)
    proof.keeps_invariants(crowd)
    cuts = quantiles(delays, n=100)
    tell("median from commit to append", 1000 * cuts[49], " ms")
    tell("p99 from commit to append", 1000 * cuts[98], " ms")
    meaning = f"seconds from commit to append, p99, of {RATE:,} holds a second"
    return [Result("commit_to_ack_p99", cuts[98], BAR_SECONDS, meaning)]


def _warm_up(backbone: Backbone, crowd: Crowd) -> None:
    """A second of holds, until all of them are carried: the relay takes some seconds to start, and makes its topics."""
    show, before = crowd.show(RATE), backbone.ends(TOPICS)
    load = crowd.stage.generator.run(crowd.requests(show), CONNECTIONS, rate=RATE, seconds=1).expect(201)
    await_rows(backbone, TOPICS, sum(before.values()) + load.count(201))


def _delays(backbone: Backbone, crowd: Crowd) -> list[float]:
    show, last = crowd.show(RATE * SECONDS), _last_id(backbone)
    before = backbone.ends(TOPICS)
    load = crowd.stage.generator.run(crowd.requests(show), CONNECTIONS, rate=RATE, seconds=SECONDS).expect(201)
    tell("holds", load.rate)
    count = load.count(201)
    await_rows(backbone, TOPICS, sum(before.values()) + count)
    commits: dict[str, datetime] = dict(backbone.database.execute(_COMMITS, [TOPICS, last]).fetchall())
    delays = []
    for record in backbone.records(before, backbone.ends(TOPICS)):
        message_id = dict(record.headers() or [])["message_id"].decode()
        if message_id in commits:
            delays.append(record.timestamp()[1] / 1000 - commits[message_id].timestamp())
    return delays


def _last_id(backbone: Backbone) -> int:
    row = backbone.database.execute("select coalesce(max(id), 0) from outbox").fetchone()
    return int(str(row[0])) if row else 0
