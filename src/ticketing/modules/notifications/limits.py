"""Limits on emails that a person can cause in a mailbox that is not theirs, over all senders.

Counted in Postgres with GCRA, as rate limits are in Redis, so that a restart or an outage of Redis forgets nothing.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import metrics
from ticketing.modules.notifications.models import EmailLimit

#: Emails of one kind that one mailbox gets at once, and the time after which it may get another.
BURST, INTERVAL = 5, timedelta(hours=4)
#: The digest of a mailbox includes an event for purchase limits; here it is for none.
_NO_EVENT = UUID(int=0)
CLEAN_ROWS = 5000


async def may_send(session: AsyncSession, kind: str, email: str) -> bool:
    """Count an email of this kind to this mailbox; False when it has had its share. Waits for concurrent counts."""
    limit, now = EmailLimit, func.now()
    row = insert(limit).values(kind=kind, mailbox=func.buyer_identity(_NO_EVENT, email), full_at=now + INTERVAL)
    full_at = func.greatest(limit.full_at, now) + INTERVAL
    row = row.on_conflict_do_update(
        index_elements=["kind", "mailbox"], set_={"full_at": full_at}, where=full_at <= now + BURST * INTERVAL
    )
    is_counted = await session.scalar(row.returning(limit.kind)) is not None
    if not is_counted:
        metrics.EMAILS.labels(kind, "limited").inc()
    return is_counted


async def clean_limits(session: AsyncSession) -> int:
    """Delete up to CLEAN_ROWS limits that nothing counts against any more, and return their number."""
    old = select(EmailLimit.kind, EmailLimit.mailbox).where(EmailLimit.full_at < func.now())
    old = old.limit(CLEAN_ROWS).with_for_update(skip_locked=True)
    keys = delete(EmailLimit).where(tuple_(EmailLimit.kind, EmailLimit.mailbox).in_(old))
    return len((await session.scalars(keys.returning(EmailLimit.kind))).all())
