"""How fast the relay carries a backlog to Kafka, beside a bare producer; and after an old transaction held it up."""

import os
import sys
import time
from collections.abc import Sequence

import psycopg

from benchmarks import backlog
from benchmarks.backbone_stage import Backbone
from benchmarks.bare_producer import PREFIX
from benchmarks.result import Result
from benchmarks.rounds import FEW_ROUNDS, by_turns, tell

#: Fewer, to try it out: BENCH_LOG_ROWS=20000.
ROWS = int(os.environ.get("BENCH_LOG_ROWS", "200000"))
ROWS -= ROWS % backlog.ROWS_PER_TRANSACTION
#: Of these an old transaction keeps readers away.
PINNED_ROWS = min(ROWS, 50_048)
PATIENCE_SECONDS = 300


def run(backbone: Backbone) -> list[Result]:
    """Both carry the same rows, by turns, and the broker says when it had the first of them and when the last."""
    backbone.make(PREFIX + topic for topic in backlog.TOPICS)
    ratio = by_turns(lambda: _relay(backbone, ROWS), lambda: _bare(backbone, ROWS), FEW_ROUNDS)
    freed = by_turns(lambda: _freed(backbone), lambda: _relay(backbone, PINNED_ROWS), FEW_ROUNDS)
    meaning = (
        f"the rate of {PINNED_ROWS:,} messages that an old transaction held up, in times of as many that nothing did"
    )
    return [
        Result("rate_after_pin", freed, 0.9, meaning, at_most=False),
        Result(
            "relay_to_producer",
            ratio,
            0.5,
            f"of {ROWS:,} messages those that the relay carries a second, in times of a bare producer's",
            at_most=False,
        ),
    ]


def _relay(backbone: Backbone, rows: int) -> float:
    backlog.append(backbone.database, rows)
    return tell_rate(backbone, "the relay", backlog.TOPICS, rows, "ticketing.cli", "worker", "--only", "relay")


def _freed(backbone: Backbone) -> float:
    """A relay at work, and a transaction that is older than everything it could read; until it ends."""
    before = backbone.ends(backlog.TOPICS)
    with backbone.stage.running("ticketing.cli", "worker", "--only", "relay", name="carrier"):
        with psycopg.connect(backbone.stage.owner_url) as old:
            old.execute("select pg_current_xact_id()")
            backlog.append(backbone.database, PINNED_ROWS)
            if backbone.ends(backlog.TOPICS) != before:
                raise SystemExit("rows were published that an older transaction could still have come before")
        await_rows(backbone, backlog.TOPICS, sum(before.values()) + PINNED_ROWS)
    return _rate(backbone, "the relay, after an old transaction", before)


def _bare(backbone: Backbone, rows: int) -> float:
    topics = [PREFIX + topic for topic in backlog.TOPICS]
    arguments = ["benchmarks.bare_producer", backbone.stage.owner_url, backbone.broker.bootstrap, str(rows)]
    return tell_rate(backbone, "a bare producer", topics, rows, *arguments)


def tell_rate(backbone: Backbone, who: str, topics: Sequence[str], rows: int, *program: str) -> float:
    """Messages a second of a program that carries so many of them to these topics."""
    before = backbone.ends([*topics])
    with backbone.stage.running(*program, name="carrier"):
        await_rows(backbone, [*topics], sum(before.values()) + rows)
    return _rate(backbone, who, before)


def _rate(backbone: Backbone, who: str, before: dict[tuple[str, int], int]) -> float:
    """From the first append to the last, by the broker's time."""
    after = backbone.ends(sorted({topic for topic, _ in before}))
    times = [record.timestamp()[1] for record in backbone.records(before, after)]
    rate = len(times) / ((max(times) - min(times)) / 1000)
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
