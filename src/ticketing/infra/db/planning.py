"""Plans that do not depend on statistics: the same in a fresh database, after a bulk import, and with ten million rows.

A plan is made once per connection and statement, and kept. Where it follows the statistics of that moment, the first
minutes of an on-sale run with plans for empty tables: measured, holds with a purchase limit fell from 950 to 105 per
second, until autovacuum had analyzed the tables.
"""

from enum import StrEnum

import psycopg
from sqlalchemy import ColumnElement, Text, literal
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db.driver.conninfo import conninfo_of

#: Settings of every connection of the platform: its statements find a few rows by an index each, and join by nested
#: loops. Scans of whole tables and joins of whole sets win only where statistics say that a table is small, and it may
#: not be small any more. Parallel plans and compilation are for queries that take seconds.
SETTINGS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
}
_FOR_SETS = [f"set local {name} = on" for name, value in SETTINGS.items() if name.startswith("enable_")]


def options() -> list[str]:
    """The settings as parts of the connection parameter `options`."""
    return [f"-c {name}={value}" for name, value in SETTINGS.items()]


async def plan_for_sets(session: AsyncSession) -> None:
    """Let the planner join and scan whole tables in this transaction: for statements on all seats of a venue."""
    connection = await session.connection()
    for setting in _FOR_SETS:
        await connection.exec_driver_sql(setting)


def stabilize_plans(url: str) -> None:
    """Give tables that were never analyzed statistics, as their owner (see the function's migration)."""
    with psycopg.connect(conninfo_of(url), autocommit=True) as connection:
        connection.execute("select stabilize_plans()")


def constant(value: StrEnum) -> ColumnElement[str]:
    """The value as a part of the statement's text, not as a parameter, for queries that partial indexes serve.

    A generic plan, which is made without the parameters' values, can't use a partial index whose condition names the
    value, and reads the whole table instead.
    """
    return literal(str(value), Text, literal_execute=True)
