"""What a person has to look at: a rule is one statement and a threshold, and modules above hand theirs in as data."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Executable, text
from sqlalchemy.ext.asyncio import AsyncConnection

from ticketing.infra import log
from ticketing.infra.config import Settings
from ticketing.infra.outbox import UNREAD
from ticketing.modules.health.checks import CHECK_SECONDS_MAX, Dependencies

_log = log.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Alert:
    """Fires when the statement's value is above the threshold.

    The statement gives rows of (subject, value): the highest value counts and its subject is told, say a reader's name;
    a subject may be null, and no row stands for 0. `unit` is that of value and threshold: "seconds" or "count".
    """

    name: str
    threshold: float
    unit: str
    statement: Executable


@dataclass(frozen=True, slots=True)
class Reading:
    """An alert as it is now. Without a value it could not be read, and fires: an eye that is shut is an alarm too."""

    name: str
    firing: bool
    value: float | None
    threshold: float
    unit: str
    subject: str | None


def log_alerts(settings: Settings) -> tuple[Alert, ...]:
    """The rules about the log and its readers; which readers there are depends on how messages travel."""
    lag = text(_LAG).bindparams(road="kafka" if settings.is_distributed else "log")
    stuck = (Alert("kafka_partition_stuck", 60, "seconds", text(_STUCK)),) if settings.is_distributed else ()
    return (
        Alert("outbox_lag", 30, "seconds", lag),
        Alert("outbox_pinned", 60, "seconds", text(_PINNED)),
        Alert("outbox_partitions", 0, "count", text(_PARTITIONS)),
        Alert("dead_letters", 0, "count", text(_DEAD)),
        *stuck,
    )


async def read_alerts(alerts: Iterable[Alert], on: Dependencies) -> list[Reading]:
    """Read them all, on one connection of their own, in at most CHECK_SECONDS_MAX; never raises."""
    values: dict[str, tuple[str | None, float]] = {}
    alerts = tuple(alerts)
    try:
        async with asyncio.timeout(CHECK_SECONDS_MAX), on.probe.connect() as connection:
            # Each statement for itself: one that fails takes no other with it.
            connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
            for alert in alerts:
                await _read(alert, connection, values)
    except Exception as error:
        _log.warning("alerts_not_read", error=type(error).__name__)
    return [_judge(alert, values.get(alert.name)) for alert in alerts]


async def _read(alert: Alert, connection: AsyncConnection, values: dict[str, Any]) -> None:
    try:
        rows = (await connection.execute(alert.statement)).all()
        found = [(subject, float(value)) for subject, value in rows if value is not None]
    except Exception as error:
        _log.warning("alert_not_read", alert=alert.name, error=type(error).__name__)
        return
    values[alert.name] = max(found, key=lambda one: one[1], default=(None, 0.0))


def _judge(alert: Alert, found: tuple[str | None, float] | None) -> Reading:
    subject, value = found if found is not None else (None, None)
    firing = value is None or value > alert.threshold
    rounded = None if value is None else round(value, 3)
    return Reading(alert.name, firing, rounded, alert.threshold, alert.unit, subject)


# The age of the oldest row that a reader has not read. By transaction and not by id, as readers read; a database
# whose log nobody reads at all has a reader called "nobody". However long a reader has been away it counts, until
# `ticketing outbox forget` says that it is gone for good: what it has not read is kept for it.
_LAG = f"""
with readers as (
    select r.reader, r.window_from, r.window_to, r.last_id from outbox_readers r
     where r.road is null or r.road = :road),
all_readers as (
    select * from readers
     union all
    select 'nobody', cast('0' as xid8), null, 0 where not exists (select from readers))
select r.reader, extract(epoch from clock_timestamp() - oldest.occurred_at)
  from all_readers r
 cross join lateral (
    select o.occurred_at from watched_outbox o
     where {UNREAD} order by o.xid, o.id limit 1) oldest"""  # noqa: S608 (a constant)

# No reader comes past the oldest transaction that still writes, so who leaves one open holds up all of them.
_PINNED = "select application || coalesce(' (process ' || pid || ')', ''), seconds from outbox_pins()"

# A day without a partition has its rows in the default one, which is never dropped.
_PARTITIONS = """
select name, 1 from (
    select 'outbox_' || to_char((now() at time zone 'UTC')::date + n, 'YYYYMMDD') as name
      from generate_series(0, 1) n) days
 where to_regclass(name) is null
 union all
select 'outbox_default', count(*) from (select from watched_outbox_default limit 1000) strays having count(*) > 0"""

_DEAD = "select null, count(*) from watched_dead_letters"

# As the scheduler measured it last: what a group has not done, and since when its offset has stood still.
_STUCK = """
select consumer || ' ' || topic || '/' || partition, extract(epoch from clock_timestamp() - since) from kafka_lag"""
