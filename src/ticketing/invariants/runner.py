"""Checks the invariants: what must be true of the data at any moment, as SQL that lists the offenders."""

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ticketing.infra.db.planning import plan_for_sets
from ticketing.invariants import counters, money, outbox, seats, tenants, tickets
from ticketing.invariants.invariant import Invariant, InvariantResult

#: How many offenders of each invariant are listed.
OFFENDERS_MAX = 5

INVARIANTS: tuple[Invariant, ...] = (
    *seats.INVARIANTS,
    *counters.INVARIANTS,
    *money.INVARIANTS,
    *tickets.INVARIANTS,
    *tenants.INVARIANTS,
    *outbox.INVARIANTS,
)

# The queries join whole tables once, so they need memory for hashes. Nested loops are off: the planner would choose
# them if stale statistics promise only a handful of rows.
_SETTINGS = (
    "set transaction isolation level repeatable read, read only",
    "set local work_mem = '128MB'",
    "set local enable_nestloop = off",
)


async def check(session: AsyncSession) -> list[InvariantResult]:
    """Check every invariant in one snapshot. It must be the first statement of its transaction, and takes no locks."""
    connection = await session.connection()
    for setting in _SETTINGS:
        await connection.exec_driver_sql(setting)
    await plan_for_sets(session)
    return await check_in_transaction(session)


async def check_in_transaction(session: AsyncSession) -> list[InvariantResult]:
    """Check every invariant as the caller's transaction sees the data, including its uncommitted changes."""
    connection = await session.connection()
    return [await _check(connection, invariant) for invariant in INVARIANTS]


async def _check(connection: AsyncConnection, invariant: Invariant) -> InvariantResult:
    query = f"select o.what, count(*) over () as total from ({invariant.query}) o (what) limit {OFFENDERS_MAX}"  # noqa: S608
    rows = (await connection.exec_driver_sql(query)).all()
    return InvariantResult(invariant, rows[0].total if rows else 0, [str(row.what) for row in rows])
