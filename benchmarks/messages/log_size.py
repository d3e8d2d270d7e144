"""The size of the log under retention: two weeks of partitions, which the relay reads and the scheduler drops."""

import psycopg

from benchmarks.messages.relay_throughput import wait_for_records
from benchmarks.result import Result
from benchmarks.rounds import report
from benchmarks.testbed import backlog
from benchmarks.testbed.kafka import KafkaTestbed

DAYS, KEEP_DAYS, ROWS_PER_DAY = 15, 7, 64 * 100

_MAKE_DAY = """
do $$
declare day date := current_date - {ago};
begin
    if to_regclass('outbox_' || to_char(day, 'YYYYMMDD')) is null then
        execute format('create table %I partition of outbox for values from (%L) to (%L)',
                       'outbox_' || to_char(day, 'YYYYMMDD'), day, day + 1);
    end if;
end $$"""
_DATE = "alter table outbox alter column occurred_at set default now() - interval '{ago} days'"
_SIZE = "select sum(pg_total_relation_size(inhrelid)) from pg_inherits where inhparent = 'outbox'::regclass"
_IS_READ = """
select not exists (select from outbox o, outbox_cursor c
                    where c.reader = 'relay' and o.xid >= c.window_from and o.id > c.last_id)"""


def run(kafka: KafkaTestbed) -> list[Result]:
    """For each day: append rows, wait until the relay has read them, and drop partitions like the scheduler."""
    sizes = []
    with kafka.testbed.running("ticketing.cli", "worker", "--only", "relay", name="publisher"):
        for ago in reversed(range(DAYS)):
            sizes.append(_day(kafka, ago))
    report("size of the log after a week", sizes[KEEP_DAYS] / 1e6, " MB")
    report("size of the log after two weeks", sizes[-1] / 1e6, " MB")
    growth = sizes[-1] / sizes[KEEP_DAYS]
    return [
        Result("log_growth", growth, 1.1, "size of the log after two weeks, relative to that after the retention time")
    ]


def _day(kafka: KafkaTestbed, ago: int) -> float:
    """The size of the log in bytes at the end of the day that was `ago` days ago."""
    database, before = kafka.database, sum(kafka.ends(backlog.TOPICS).values())
    database.execute(_MAKE_DAY.format(ago=ago).encode())
    database.execute(_DATE.format(ago=ago).encode())
    backlog.append(database, ROWS_PER_DAY)
    wait_for_records(kafka, backlog.TOPICS, before + ROWS_PER_DAY)
    while database.execute(_IS_READ).fetchone() != (True,):
        pass
    _drop(database, KEEP_DAYS + ago)
    row = database.execute(_SIZE).fetchone()
    return float(str(row[0])) if row else 0.0


def _drop(database: psycopg.Connection, keep_days: int) -> None:
    """Detach and drop the older days, one step at a time, as the scheduler does."""
    while True:
        try:
            if database.execute("select drop_outbox_partitions(%s, true)", [keep_days]).fetchone() == (0,):
                return
        except psycopg.errors.LockNotAvailable:  # the relay was reading
            continue
