"""Emails to an organization's admins about money that a payment provider has given back, refused or taken.

A message fans out into one request per admin, so that each email is sent and retried on its own.
"""

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.config import get_settings
from ticketing.infra.formats.currencies import format_money
from ticketing.infra.mail import OutgoingEmail
from ticketing.modules import events, iam, orders, organizations, payments
from ticketing.modules.notifications import texts
from ticketing.modules.notifications.emails import make_email, may_tell
from ticketing.modules.notifications.layout import Page
from ticketing.modules.notifications.messages import RefundNoticeRequested

ProviderMessage = (
    payments.RefundRecorded
    | payments.RefundFailed
    | payments.DisputeCreated
    | payments.DisputeWon
    | payments.DisputeLost
)


async def request_refund_notices(session: AsyncSession, message: ProviderMessage) -> None:
    """Request an email to each admin of the organization."""
    assert message.organization_id is not None
    for user_id in await organizations.list_admins(session, message.organization_id):
        ids = {"refund_id": message.refund_id, "order_id": message.order_id, "user_id": user_id}
        outbox.publish(session, RefundNoticeRequested(**ids, about=message.topic))


async def compose_refund_notice(session: AsyncSession, message: RefundNoticeRequested) -> OutgoingEmail | None:
    """What the provider has reported about an order's money. None for a user who is no admin any more."""
    refund = await session.get_one(payments.Refund, message.refund_id)
    if await organizations.find_role(session, refund.organization_id, message.user_id) != organizations.Role.ORG_ADMIN:
        return None
    user = (await iam.list_users(session, [message.user_id])).get(message.user_id)
    if user is None or not await may_tell(session, "refund_notice", user.id, user.email):
        return None
    order = await orders.get_order(session, refund.order_id)
    event = await events.get_event(session, order.event_id)
    amount = format_money(refund.amount_minor, refund.currency, texts.LOCALE)
    values = {"amount": amount, "reference": order.reference, "title": texts.quote(event.title)}
    notice = texts.REFUND_NOTICES[message.about]
    text = [paragraph.format(**values) for paragraph in notice.paragraphs]
    if reason := texts.clean(_reason(refund, message.about)):
        text.append(texts.NOTICE_REASON.format(reason=reason))
    page = Page(text, texts.NOTICE_BUTTON, f"{get_settings().base_url}/console")
    return make_email("refund_notice", user.email, notice.subject.format(**values), page)


def _reason(refund: payments.Refund, about: str) -> str:
    if about == payments.RefundFailed.topic:
        return refund.failure_reason or ""
    return refund.reason if about in (payments.RefundRecorded.topic, payments.DisputeCreated.topic) else ""
