"""The log moves to another cluster under running processes, and a day of it is dropped under load."""

import asyncio
import shutil
import signal
from typing import TYPE_CHECKING

from tests.chaos.faults.fault import Fault, nothing
from tests.chaos.faults.kills import PARTS
from tests.chaos.platform import Platform
from tests.infra.outbox import dumps
from ticketing.infra.embedded.postgres import EmbeddedPostgres

if TYPE_CHECKING:
    from tests.chaos.load.buyers import Load

_UNREAD = """
select true from outbox_readers r join outbox o on o.xid >= r.window_from
   and (r.window_to is null or o.xid >= r.window_to or o.id > r.last_id)
 where (r.road is null or r.road = 'log')"""
UNREAD = f"{_UNREAD} limit 1"
UNREAD_OF_DAY = f"{_UNREAD} and o.occurred_at < current_date - 8 limit 1"
OLD_DAY = """
do $$ begin
    set local role ticketing_owner;
    execute format('create table outbox_%s partition of outbox for values from (%L) to (%L)',
                   to_char(current_date - 9, 'YYYYMMDD'), current_date - 9, current_date - 8);
    insert into outbox (occurred_at, message_id, topic, key, schema_version, payload, correlation_id, traceparent,
                        actor)
    select current_date - 9, gen_random_uuid(), 'chaos.rung', n::text, 1, '{}', '', '', ''
      from generate_series(1, 20000) n;
end $$"""
STEP = "select drop_outbox_partitions(7, false)"
OLD_TABLES = "select true from pg_class where relkind = 'r' and relname = any(%s)"
DAY = "select to_char(current_date - 9, 'YYYYMMDD')"
DROP_SECONDS = 30


async def restore_dump(platform: Platform, load: "Load") -> list[str]:
    """Replace the cluster by a new one with a dump of the database. The processes run on, and lose their connections.

    No request is in progress meanwhile: a dump does not contain what is acknowledged after it.
    """
    await load.pause()
    while await platform.query(UNREAD):  # noqa: ASYNC110 (polls a database)
        await asyncio.sleep(0.1)
    await asyncio.to_thread(_move_to_new_cluster, platform)
    platform.send(PARTS["postgres"], signal.SIGQUIT)  # the supervisor starts the server on the new files
    load.resume()
    return []


def _move_to_new_cluster(platform: Platform) -> None:
    base, draft = platform.folder / "postgres", platform.folder / "restored"
    draft.mkdir()
    for password in base.glob("password*"):
        shutil.copy(password, draft)
    source, dump = platform.database_url(), draft / "dump"
    dumps.dump(source, dump)
    with EmbeddedPostgres(draft) as server:
        dumps.copy_roles(source, server.url("postgres"), with_passwords=True)
        server.create_database("ticketing")
        dumps.restore(dump, server.url("ticketing"))
    (base / "data").rename(draft / "before")
    (draft / "data").rename(base / "data")


async def drop_a_day(platform: Platform, load: "Load") -> list[str]:
    """Drop a day of the log as the scheduler does, while everything reads and writes it."""
    await platform.query(OLD_DAY)
    [[day]] = await platform.query(DAY)
    # A day is dropped once every reader has passed it. The group of emails is paced, and may have to send some first.
    while await platform.query(UNREAD_OF_DAY):  # noqa: ASYNC110 (polls a database)
        await asyncio.sleep(0.1)
    async with asyncio.timeout(DROP_SECONDS):
        while await platform.query(OLD_TABLES, [f"outbox_{day}", f"outbox_detached_{day}"]):
            await platform.query(STEP)  # repeated when the lock was not to be had
    [[deadlocks]] = await platform.query("select sum(deadlocks) from pg_stat_database")
    return [f"{deadlocks} deadlocks"] if deadlocks else []


LOG = [
    Fault("restore of a dump", "log", nothing, act=restore_dump, is_outage=True),
    Fault("day of the log dropped", "log", nothing, act=drop_a_day),
]
