"""How long a fact takes from its commit to a consumer's effect, beside a thousand holds a second, on either road.

Both times are Postgres' own: those of the commits of the fact's transaction and of the effect's.
"""

import time
from contextlib import ExitStack
from statistics import quantiles

from benchmarks import proof
from benchmarks.backbone_stage import Backbone
from benchmarks.crowd import Crowd
from benchmarks.effect_consumer import GROUPS, TABLE
from benchmarks.result import Result
from benchmarks.rounds import tell

RATE, CONNECTIONS, SECONDS = 1000, 64, 20
#: The bar, and in seconds.
BAR_SECONDS = 0.15
PATIENCE_SECONDS = 120

_COUNT = "select count(*) from inbox where consumer = %s"
_DELAYS = """
select extract(epoch from pg_xact_commit_timestamp(i.xmin) - pg_xact_commit_timestamp(o.xid::text::bigint::text::xid))
  from inbox i join outbox o using (message_id)
 where i.consumer = %s and o.id > %s"""


def run(backbone: Backbone) -> list[Result]:
    """The relay and the product's own consumers work beside, on the same cores as the API, database and broker."""
    crowd = backbone.crowd
    backbone.database.execute(TABLE)
    # Kafka comes second: what the first has left in the log is carried there, and the log is all read afterwards.
    results = [_measure(backbone, crowd, is_over_kafka) for is_over_kafka in (False, True)]
    proof.keeps_invariants(crowd)
    return results


def _measure(backbone: Backbone, crowd: Crowd, is_over_kafka: bool) -> Result:
    stage, road = backbone.stage, "kafka" if is_over_kafka else "log"
    stage.environment["KAFKA_BOOTSTRAP_SERVERS"] = backbone.broker.bootstrap if is_over_kafka else ""
    with ExitStack() as processes:
        if is_over_kafka:
            processes.enter_context(stage.running("ticketing.cli", "worker", "--only", "relay", name="relay"))
        processes.enter_context(stage.running("ticketing.cli", "worker", "--only", "consumers", name="consumers"))
        processes.enter_context(stage.running("benchmarks.effect_consumer", name="effects"))
        _hold(backbone, crowd, is_over_kafka, seconds=2)
        last = _one(backbone, "select max(id) from outbox")
        tell("holds beside", _hold(backbone, crowd, is_over_kafka, seconds=SECONDS))
    rows = backbone.database.execute(_DELAYS, [GROUPS[is_over_kafka], last]).fetchall()
    cuts = quantiles([float(str(row[0])) for row in rows], n=100)
    tell(f"median from commit to effect, {road}", 1000 * cuts[49], " ms")
    tell(f"p99 from commit to effect, {road}", 1000 * cuts[98], " ms")
    meaning = f"seconds from commit to effect, p99, of {RATE:,} holds a second, by {road}"
    return Result(f"commit_to_effect_p99_{road}", cuts[98], BAR_SECONDS, meaning)


def _hold(backbone: Backbone, crowd: Crowd, is_over_kafka: bool, seconds: int) -> float:
    """Holds so long, and until each has had its effect; how many a second it came to."""
    show = crowd.show(RATE * seconds)
    # What the other road has left has its effect too, and before these.
    wanted = _one(backbone, "select count(*) from outbox where topic = 'reservation.created'")
    load = crowd.stage.generator.run(crowd.requests(show), CONNECTIONS, rate=RATE, seconds=seconds).expect(201)
    wanted += load.count(201)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (done := _one(backbone, _COUNT, GROUPS[is_over_kafka])) < wanted:
        if time.monotonic() > deadline:
            raise SystemExit(f"{done} of {wanted} facts had their effect")
        time.sleep(0.2)
    return load.rate


def _one(backbone: Backbone, query: str, *values: object) -> int:
    row = backbone.database.execute(query.encode(), values).fetchone()
    return int(str(row[0])) if row and row[0] is not None else 0
