"""Whether the log stays as large as its retention says: two weeks of days, read and dropped as a scheduler does."""

from benchmarks import backlog
from benchmarks.backbone_stage import Backbone
from benchmarks.drain import await_rows
from benchmarks.result import Result
from benchmarks.rounds import tell

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


def run(backbone: Backbone) -> list[Result]:
    """Each day is written, read by the relay, and followed by what the scheduler does once an hour."""
    sizes = []
    with backbone.stage.running("ticketing.cli", "worker", "--only", "relay", name="carrier"):
        for ago in reversed(range(DAYS)):
            sizes.append(_day(backbone, ago))
    tell("the log after a week", sizes[KEEP_DAYS] / 1e6, " MB")
    tell("the log after a fortnight", sizes[-1] / 1e6, " MB")
    growth = sizes[-1] / sizes[KEEP_DAYS]
    return [
        Result("log_growth", growth, 1.1, "size of the log after a fortnight, in times of that after its retention")
    ]


def _day(backbone: Backbone, ago: int) -> float:
    """The log's size in bytes at the end of a day so many days ago."""
    database, before = backbone.database, sum(backbone.ends(backlog.TOPICS).values())
    database.execute(_MAKE_DAY.format(ago=ago).encode())
    database.execute(_DATE.format(ago=ago).encode())
    backlog.append(database, ROWS_PER_DAY)
    await_rows(backbone, backlog.TOPICS, before + ROWS_PER_DAY)
    while database.execute(_IS_READ).fetchone() != (True,):
        pass
    database.execute("select drop_outbox_partitions(%s, true)", [KEEP_DAYS + ago])
    row = database.execute(_SIZE).fetchone()
    return float(str(row[0])) if row else 0.0
