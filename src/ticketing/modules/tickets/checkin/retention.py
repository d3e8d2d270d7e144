"""The end of refused scans. Admissions stay with their ticket."""

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import statements

#: Scans per transaction.
CLEAN_ROWS = 1000

_DELETE = """
delete from check_ins where id in (
    select id from check_ins
     where result <> 'admitted' and created_at < now() - make_interval(days => %s)
     order by created_at limit %s for update skip locked)"""


async def clean_check_ins(session: AsyncSession, days: int) -> int:
    """Delete a batch of refused scans that were recorded `days` ago; their number."""
    return (await statements.execute(session, _DELETE, days, CLEAN_ROWS)).rowcount
