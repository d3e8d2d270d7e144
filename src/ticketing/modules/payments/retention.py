"""The end of received webhooks whose effect is long settled. Payments and refunds stay: they are the books."""

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import statements

#: Webhooks per transaction.
CLEAN_ROWS = 1000

_DELETE = """
delete from payment_events where (provider, event_id) in (
    select provider, event_id from payment_events
     where outcome in ('applied', 'seen') and processed_at < now() - make_interval(days => %s)
     order by processed_at limit %s for update skip locked)"""


async def clean_events(session: AsyncSession, days: int) -> int:
    """Delete a batch of webhooks that were processed `days` ago; their number.

    Those that an operator has to settle stay. A provider that sends a deleted one again finds its payment settled.
    """
    return (await statements.execute(session, _DELETE, days, CLEAN_ROWS)).rowcount
