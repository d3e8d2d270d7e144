"""Alert rules: one SQL statement and one threshold each. Higher modules pass their own rules in as data."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from ticketing.infra import log
from ticketing.infra.config import Settings
from ticketing.infra.outbox import UNREAD
from ticketing.modules.health.checks import CHECK_SECONDS_MAX, Dependencies

_log = log.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Alert:
    """Fires when the statement's value is above the threshold.

    The statement returns rows of (subject, value). The highest value counts, and its subject (a reader's name, say) is
    reported; the subject may be null, and no row means 0. `unit` is "seconds" or "count", for value and threshold.
    """

    name: str
    threshold: float
    unit: str
    statement: str
    #: What the statement's `%s` stand for.
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AlertReading:
    """The present state of an alert. An alert that could not be read has no value, and fires."""

    name: str
    firing: bool
    value: float | None
    threshold: float
    unit: str
    subject: str | None


def log_alerts(settings: Settings) -> tuple[Alert, ...]:
    """The rules about the outbox log and its readers. The transport (log or Kafka) decides which readers there are."""
    road = "kafka" if settings.is_distributed else "log"
    stuck = (Alert("kafka_partition_stuck", 60, "seconds", _STUCK),) if settings.is_distributed else ()
    return (
        Alert("outbox_lag", 30, "seconds", _LAG, (road,)),
        Alert("outbox_pinned", 60, "seconds", _PINNED),
        Alert("outbox_ahead", 0, "count", _AHEAD),
        Alert("outbox_partitions", 0, "count", _PARTITIONS),
        Alert("dead_letters", 0, "count", _DEAD),
        *stuck,
    )


async def read_alerts(alerts: Iterable[Alert], dependencies: Dependencies) -> list[AlertReading]:
    """Read all alerts on one dedicated connection, within CHECK_SECONDS_MAX. Never raises."""
    values: dict[str, tuple[str | None, float]] = {}
    alerts = tuple(alerts)
    try:
        async with asyncio.timeout(CHECK_SECONDS_MAX), dependencies.probe.connect() as connection:
            # One transaction per statement, so that a failed one does not abort the others.
            connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
            for alert in alerts:
                await _read(alert, connection, values)
    except Exception as error:
        _log.warning("alerts_not_read", error=type(error).__name__)
    return [_judge(alert, values.get(alert.name)) for alert in alerts]


async def _read(alert: Alert, connection: AsyncConnection, values: dict[str, Any]) -> None:
    try:
        rows: Sequence[Any] = (await connection.exec_driver_sql(alert.statement, alert.values or None)).all()
        found = [(row[0], float(row[1])) for row in rows if row[1] is not None]
    except Exception as error:
        _log.warning("alert_not_read", alert=alert.name, error=type(error).__name__)
        return
    values[alert.name] = max(found, key=lambda one: one[1], default=(None, 0.0))


def _judge(alert: Alert, found: tuple[str | None, float] | None) -> AlertReading:
    subject, value = found if found is not None else (None, None)
    firing = value is None or value > alert.threshold
    rounded = None if value is None else round(value, 3)
    return AlertReading(alert.name, firing, rounded, alert.threshold, alert.unit, subject)


# The age of each reader's oldest unread row, by transaction and not by id, as readers read. A log without any reader is
# reported as a reader called "nobody". A reader counts however long it has been away, because its unread rows are kept,
# until `ticketing outbox forget` removes it.
_LAG = f"""
with readers as (
    select r.reader, r.window_from, r.window_to, r.last_id from outbox_readers r
     where r.road is null or r.road = %s),
all_readers as (
    select * from readers
     union all
    select 'nobody', cast('0' as xid8), null, 0 where not exists (select from readers))
select r.reader, extract(epoch from clock_timestamp() - oldest.occurred_at)
  from all_readers r
 cross join lateral (
    select o.occurred_at from watched_outbox o
     where {UNREAD} order by o.xid, o.id limit 1) oldest"""  # noqa: S608 (a constant)

# No reader passes the oldest transaction that still writes, so one open transaction delays all of them.
_PINNED = "select application || coalesce(' (process ' || pid || ')', ''), seconds from outbox_pins()"

# A reader that is ahead of the log sees no new message until the log has caught up; see infra/db/log_cluster.py.
_AHEAD = "select subject, 1 from watched_log_positions"

# Rows of a day without a partition go to the default partition, which is never dropped.
_PARTITIONS = """
select name, 1 from (
    select 'outbox_' || to_char((now() at time zone 'UTC')::date + n, 'YYYYMMDD') as name
      from generate_series(0, 1) n) days
 where to_regclass(name) is null
 union all
select 'outbox_default', count(*) from (select from watched_outbox_default limit 1000) strays having count(*) > 0"""

_DEAD = "select null, count(*) from watched_dead_letters"

# From the scheduler's last measurement: since when a group's offset has not moved while messages wait.
_STUCK = """
select consumer || ' ' || topic || '/' || partition, extract(epoch from clock_timestamp() - since) from kafka_lag"""
