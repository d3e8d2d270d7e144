"""What has to be true of the data at any moment, as SQL that lists the offenders: `ticketing check`."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.invariants import counters, money, outbox, seats, tenants, tickets
from ticketing.invariants.invariant import (
    HOLD_SECONDS_MAX,
    LOGGED_SECONDS,
    SETTLING_SECONDS,
    SWEPT_SECONDS,
    Invariant,
    Verdict,
)

__all__ = ["INVARIANTS", "Invariant", "Verdict", "check", "judge"]

#: So many offenders are named; a person needs some to look at, not all.
NAMED_MAX = 5

INVARIANTS: tuple[Invariant, ...] = (
    *seats.INVARIANTS,
    *counters.INVARIANTS,
    *money.INVARIANTS,
    *tickets.INVARIANTS,
    *tenants.INVARIANTS,
    *outbox.INVARIANTS,
)

_SECONDS = {
    "settling_seconds": SETTLING_SECONDS,
    "swept_seconds": SWEPT_SECONDS,
    "hold_seconds_max": HOLD_SECONDS_MAX,
    "logged_seconds": LOGGED_SECONDS,
}

# Whole tables are joined here, once: memory for the hashes, and no plan that trusts a guess of a handful of rows.
_SETTINGS = """
set transaction isolation level repeatable read, read only;
set local work_mem = '128MB';
set local enable_nestloop = off;
set local jit = off"""


async def check(session: AsyncSession) -> list[Verdict]:
    """Every invariant, in one snapshot of the database; it locks nothing and changes nothing."""
    for setting in _SETTINGS.split(";"):
        await session.execute(text(setting))
    return await judge(session)


async def judge(session: AsyncSession) -> list[Verdict]:
    """Every invariant, in the caller's transaction and as it sees the data."""
    return [await _judge(session, invariant) for invariant in INVARIANTS]


async def _judge(session: AsyncSession, invariant: Invariant) -> Verdict:
    query = text(f"select count(*) over (), o.* from ({invariant.offenders}) o (what) limit {NAMED_MAX}")  # noqa: S608
    named = {name: value for name, value in _SECONDS.items() if f":{name}" in invariant.offenders}
    rows = (await session.execute(query, named)).all()
    return Verdict(invariant, rows[0][0] if rows else 0, [str(row.what) for row in rows])
