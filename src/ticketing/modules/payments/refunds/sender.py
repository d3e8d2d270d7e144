"""Send requested refunds to their providers: queue, claim, call while no transaction is open, record.

A claim moves `due_at` to the time at which the claim expires. After that, a refund whose process was killed before
recording is sent again. The provider refunds it once, because the refund's id is its idempotency key. A refund that the
provider refuses for good has failed, and its amount may be refunded again; any other failure is retried.
"""

from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import crash_points, log
from ticketing.infra.db import Database, statements
from ticketing.infra.metrics import Counter
from ticketing.infra.system.retry import backoff_seconds
from ticketing.modules.payments import providers
from ticketing.modules.payments.messages import RefundRequested
from ticketing.modules.payments.models import Payment, Refund, RefundStatus
from ticketing.modules.payments.providers import Provider, ProviderUnreachable, RefundRefused
from ticketing.modules.payments.refunds import outcomes

crash_points.register("after_refund_before_commit", "a provider has paid a refund, and it is not recorded here")
crash_points.register("after_refusal_before_commit", "a provider has refused a refund, and it is not recorded here")

#: Longer than a call and its recording take.
CLAIM_SECONDS = 60
#: The longest pause between two attempts. Only a refusal ends them: the money is owed.
BACKOFF_MAX_SECONDS = 300.0

REFUNDS = Counter("ticketing_refund_attempts_total", "Attempts to send a refund, by outcome", ["provider", "outcome"])

_log = log.get_logger(__name__)


_QUEUE = "update refunds set due_at = now() where id = %s and status = 'requested' and due_at is null"


async def queue_refund(session: AsyncSession, message: RefundRequested) -> None:
    """Let a requested refund be due. The consumer does not wait for the provider."""
    await statements.execute(session, _QUEUE, message.refund_id)


class ClaimedRefund(NamedTuple):
    """A refund that this process sends, and no other process before the claim expires. The models are detached."""

    refund: Refund
    payment: Payment


# A subquery instead of a join: the planner might read all payments of the provider.
_CLAIM = """
with due as materialized (
    select r.id from refunds r
     where r.status = 'requested' and r.due_at <= clock_timestamp()
       and (select p.provider from payments p where p.organization_id = r.organization_id and p.id = r.payment_id) = %s
     order by r.due_at limit %s for update skip locked)
update refunds r set due_at = clock_timestamp() + make_interval(secs => %s), tries = r.tries + 1
  from due where r.id = due.id
returning r.id"""


async def claim_refunds(database: Database, provider: Provider, limit: int) -> list[ClaimedRefund]:
    """Claim up to `limit` due refunds of this provider, those that have waited longest first."""
    async with database.transaction() as session:
        claimed = await statements.execute(session, _CLAIM, provider.name, limit, CLAIM_SECONDS)
        ids = [row[0] for row in await claimed.fetchall()]
        same = (Payment.organization_id == Refund.organization_id) & (Payment.id == Refund.payment_id)
        query = select(Refund, Payment).join(Payment, same).where(Refund.id.in_(ids))
        return [ClaimedRefund(*row) for row in (await session.execute(query)).all()] if ids else []


async def send_refund(database: Database, provider: Provider, claimed: ClaimedRefund) -> bool:
    """Send a refund and record the provider's answer. Returns False when there was none: it is due again later.

    Raises:
        DBAPIError: the result could not be recorded; the refund is sent again after its claim.
    """
    refund, payment = claimed
    try:
        provider_ref = await providers.send_refund(provider, refund, payment)
    except RefundRefused as refusal:
        await _record_refusal(database, provider, claimed, str(refusal))
        return True
    except Exception as error:
        await _postpone(database, provider, refund, error)
        return False
    crash_points.at("after_refund_before_commit")
    async with database.transaction() as session:
        await _record_sent(session, refund.id, provider_ref)
    REFUNDS.labels(provider.name, "sent").inc()
    return True


async def _postpone(database: Database, provider: Provider, refund: Refund, error: Exception) -> None:
    name = {"provider": provider.name, "refund_id": str(refund.id), "tries": refund.tries}
    if isinstance(error, ProviderUnreachable):
        _log.warning("refund_waits", **name, error=str(error))
    else:
        _log.error("refund_failed", **name, exc_info=error)
    REFUNDS.labels(provider.name, "failed").inc()
    pause = timedelta(seconds=backoff_seconds(refund.tries, BACKOFF_MAX_SECONDS))
    # Only while this claim is the latest one, and the provider's webhook has not completed the refund.
    is_ours = (Refund.id == refund.id) & (Refund.tries == refund.tries) & (Refund.status == RefundStatus.REQUESTED)
    async with database.transaction() as session:
        await session.execute(update(Refund).where(is_ours).values(due_at=func.clock_timestamp() + pause))


async def _record_refusal(database: Database, provider: Provider, claimed: ClaimedRefund, reason: str) -> None:
    crash_points.at("after_refusal_before_commit")
    async with database.transaction() as session:
        payment = await outcomes.lock_with_order(session, claimed.payment.id)
        (refund,) = [each for each in await outcomes.lock_refunds(session, payment) if each.id == claimed.refund.id]
        # A webhook may have completed it, and a process that was suspended may be refused what another one has sent.
        if refund.status == RefundStatus.REQUESTED:
            await outcomes.fail_refund(session, payment, refund, reason)
    REFUNDS.labels(provider.name, "refused").inc()
    _log.error("refund_refused", provider=provider.name, refund_id=str(claimed.refund.id))


async def _record_sent(session: AsyncSession, refund_id: UUID, provider_ref: str) -> None:
    """Store the reference. The provider's webhook may have completed the refund already."""
    store_ref = update(Refund).where(Refund.id == refund_id).values(provider_ref=provider_ref).returning(Refund)
    outcomes.accept_refund(session, (await session.scalars(store_ref)).one())
