"""How fast the relay carries a backlog to Kafka, beside a bare producer; and after an old transaction held it up."""

import os
import sys
import time
from collections.abc import Sequence

from benchmarks import backlog
from benchmarks.backbone_stage import Backbone
from benchmarks.bare_producer import PREFIX
from benchmarks.result import Result
from benchmarks.rounds import FEW_ROUNDS, by_turns, tell

#: Fewer, to try it out: BENCH_LOG_ROWS=20000.
ROWS = int(os.environ.get("BENCH_LOG_ROWS", "200000"))
ROWS -= ROWS % backlog.ROWS_PER_TRANSACTION
PATIENCE_SECONDS = 300


def run(backbone: Backbone) -> list[Result]:
    """Both carry the same rows, by turns, and the broker says when it had the first of them and when the last."""
    backbone.make(PREFIX + topic for topic in backlog.TOPICS)
    ratio = by_turns(lambda: _relay(backbone, ROWS), lambda: _bare(backbone, ROWS), FEW_ROUNDS)
    return [
        Result(
            "relay_to_producer",
            ratio,
            0.5,
            f"of {ROWS:,} messages those that the relay carries a second, in times of a bare producer's",
            at_most=False,
        )
    ]


def _relay(backbone: Backbone, rows: int) -> float:
    backlog.append(backbone.database, rows)
    return tell_rate(backbone, "the relay", backlog.TOPICS, rows, "ticketing.cli", "worker", "--only", "relay")


def _bare(backbone: Backbone, rows: int) -> float:
    topics = [PREFIX + topic for topic in backlog.TOPICS]
    arguments = ["benchmarks.bare_producer", backbone.stage.owner_url, backbone.broker.bootstrap, str(rows)]
    return tell_rate(backbone, "a bare producer", topics, rows, *arguments)


def tell_rate(backbone: Backbone, who: str, topics: Sequence[str], rows: int, *program: str) -> float:
    """Messages a second of a program that carries so many of them to these topics."""
    before = backbone.ends([*topics])
    with backbone.stage.running(*program, name="carrier"):
        await_rows(backbone, [*topics], sum(before.values()) + rows)
    after = backbone.ends([*topics])
    times = [record.timestamp()[1] for record in backbone.records(before, after)]
    rate = rows / ((max(times) - min(times)) / 1000)
    tell(who, rate, " messages/s")
    return rate


def await_rows(backbone: Backbone, topics: list[str], count: int) -> None:
    """Ends the benchmark when the topics have not got so many records in time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (there := sum(backbone.ends(topics).values())) < count:
        if time.monotonic() > deadline:
            raise SystemExit(
                f"{there} of {count} records: {(backbone.stage.folder / 'carrier.log').read_text()[-2000:]}"
            )
        time.sleep(0.5)
    if there > count:
        sys.stdout.write(f"  {there - count} records came twice\n")
