"""The scheduled jobs that delete rows whose retention is over, in batches, each in a transaction of its own.

docs/operations.md lists every table with the job that cleans it.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import Delete, Select, delete, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.bus import InboxRow
from ticketing.infra.config import Settings
from ticketing.infra.http.idempotency import StoredResponse
from ticketing.modules import iam, notifications, orders, organizations, payments, tickets, webhooks

#: One batch of a job: how many rows it has changed. 0: nothing is left.
Job = Callable[[AsyncSession, Settings], Awaitable[int]]

CLEAN_ROWS = 5000


async def clean_inbox(session: AsyncSession, settings: Settings) -> int:
    """Delete inbox rows of messages that can't be redelivered, because the log no longer has them."""
    days = timedelta(days=settings.outbox_retention_days + 1)
    key = tuple_(InboxRow.consumer, InboxRow.message_id)
    # Older than the log itself: a partition that is kept for a slow reader can be replayed.
    end = func.least(func.now() - days, func.outbox_begins_at())
    old = select(InboxRow.consumer, InboxRow.message_id).where(InboxRow.done_at < end)
    return await _delete(session, delete(InboxRow).where(key.in_(_batch(old))))


async def clean_responses(session: AsyncSession, settings: Settings) -> int:
    """Delete stored responses of old idempotency keys."""
    hours = timedelta(hours=settings.idempotency_retention_hours)
    key = tuple_(StoredResponse.caller, StoredResponse.key)
    old = select(StoredResponse.caller, StoredResponse.key).where(StoredResponse.created_at < func.now() - hours)
    return await _delete(session, delete(StoredResponse).where(key.in_(_batch(old))))


def _batch(old: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    # A row that another transaction has locked is left to the next run: waiting for it could deadlock.
    return old.limit(CLEAN_ROWS).with_for_update(skip_locked=True)


async def _delete(session: AsyncSession, statement: Delete) -> int:
    return int((await session.execute(statement)).rowcount)  # type: ignore[attr-defined]


async def clean_sessions(session: AsyncSession, settings: Settings) -> int:
    return await iam.clean_sessions(session)


async def clean_mail_tokens(session: AsyncSession, settings: Settings) -> int:
    return await iam.clean_mail_tokens(session)


async def clean_invitations(session: AsyncSession, settings: Settings) -> int:
    return await organizations.clean_invitations(session)


async def clean_email_limits(session: AsyncSession, settings: Settings) -> int:
    return await notifications.clean_limits(session)


async def clean_reservations(session: AsyncSession, settings: Settings) -> int:
    return await orders.clean_reservations(session, settings.reservation_retention_days)


async def clean_audit_log(session: AsyncSession, settings: Settings) -> int:
    return await organizations.clean_audit_log(session, settings.audit_retention_days)


async def clean_check_ins(session: AsyncSession, settings: Settings) -> int:
    return await tickets.clean_check_ins(session, settings.check_in_retention_days)


async def empty_payment_events(session: AsyncSession, settings: Settings) -> int:
    return await payments.personal_data.empty_old_webhooks(session, settings.webhook_body_days)


async def clean_payment_events(session: AsyncSession, settings: Settings) -> int:
    return await payments.clean_events(session, settings.webhook_event_days)


async def clean_webhooks(session: AsyncSession, settings: Settings) -> int:
    return await webhooks.clean_webhooks(session, settings.webhook_delivery_days)


#: Each job and its interval in seconds.
JOBS: dict[str, tuple[Job, float | None]] = {
    "clean_inbox": (clean_inbox, 60),
    "clean_answers": (clean_responses, 60),
    "clean_sessions": (clean_sessions, 60),
    "clean_mail_tokens": (clean_mail_tokens, 600),
    "clean_invitations": (clean_invitations, 3600),
    "clean_email_limits": (clean_email_limits, 3600),
    "clean_reservations": (clean_reservations, 60),
    "clean_audit_log": (clean_audit_log, 600),
    "clean_check_ins": (clean_check_ins, 600),
    "empty_webhooks": (empty_payment_events, 3600),
    "clean_payment_events": (clean_payment_events, 600),
    "clean_webhooks": (clean_webhooks, 600),
}
