"""The handlers of the notifications group. Each returns the email that a message calls for, or None."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.config import get_settings
from ticketing.infra.email_addresses import is_undeliverable
from ticketing.infra.formats.currencies import format_money
from ticketing.infra.mail import Attachment, OutgoingEmail
from ticketing.modules import events, iam, orders, organizations, payments, tickets
from ticketing.modules.notifications import texts
from ticketing.modules.notifications.layout import Page, as_html, as_text
from ticketing.modules.notifications.limits import may_send
from ticketing.modules.notifications.messages import TicketsEmailRequested

#: Limit on tickets in one email. Further tickets are only counted, and the PDF is replaced by the link to the order.
TICKETS_MAX = 20
#: Limit on the emails that are sent when an address is confirmed; older orders are under `/me`.
ORDERS_MAX = 20


async def compose_verification(session: AsyncSession, message: iam.EmailVerificationRequested) -> OutgoingEmail | None:
    """The verification of an email address. None when the link has been used, or expired during an SMTP outage."""
    token = await iam.find_mail_token(session, message.token_id)
    if token is None or not await may_send(session, "verification", token.email):
        return None
    link = f"{get_settings().base_url}/account/verify#{iam.write_link(token)}"
    page = Page(texts.VERIFY_TEXT, texts.VERIFY_BUTTON, link)
    return make_email("verification", token.email, texts.VERIFY_SUBJECT, page)


async def compose_password_reset(session: AsyncSession, message: iam.PasswordResetRequested) -> OutgoingEmail | None:
    """The password reset link. None when no account has this address, and for a second request within one minute."""
    token = await iam.open_reset(session, message.token_id)
    if token is None or not await may_send(session, "password_reset", token.email):
        return None
    link = f"{get_settings().base_url}/account/reset#{iam.write_link(token)}"
    page = Page(texts.RESET_TEXT, texts.RESET_BUTTON, link)
    return make_email("password_reset", token.email, texts.RESET_SUBJECT, page)


async def compose_password_changed(session: AsyncSession, message: iam.PasswordChanged) -> OutgoingEmail | None:
    """The notice of a changed password. It cannot be disabled, so that a hijacker cannot hide it from the owner."""
    user = (await iam.list_users(session, [message.user_id])).get(message.user_id)
    if user is None or not await may_tell(session, "password_changed", user.id, user.email):
        return None
    page = Page(texts.CHANGED_TEXT, texts.CHANGED_BUTTON, f"{get_settings().base_url}/account/reset")
    return make_email("password_changed", user.email, texts.CHANGED_SUBJECT, page)


async def compose_tickets(
    session: AsyncSession, message: tickets.TicketsIssued | TicketsEmailRequested
) -> OutgoingEmail | None:
    """The tickets, to the order's email address. None when the buyer holds no valid ticket of the order any more.

    An address that is neither confirmed nor the verified one of the buyer gets a link to confirm it, once, and nothing
    that an organizer or a buyer has written.
    """
    address, passes = await tickets.list_passes_of_buyer(session, message.order_id)
    if not passes:
        return None
    order = await orders.get_order(session, message.order_id)
    if not await iam.is_recipient(session, order.user_id, address):
        return await _compose_confirmation(session, order)
    if not await may_tell(session, "tickets", order.user_id, address):
        return None
    has_pdf = len(passes) <= TICKETS_MAX
    explanation = texts.TICKETS_ENCLOSED if has_pdf else texts.TICKETS_ONLINE
    link = order_link(passes[0].reference)
    page = Page(texts.TICKETS_TEXT, texts.TICKETS_BUTTON, link, describe_passes(passes), [explanation])
    subject = texts.TICKETS_SUBJECT.format(title=texts.quote(passes[0].title), reference=passes[0].reference)
    draw_pdf = partial(_draw_pdf, passes) if has_pdf else None
    return make_email("tickets", address, subject, page, draw_pdf)


async def _compose_confirmation(session: AsyncSession, order: orders.Order) -> OutgoingEmail | None:
    token = await iam.open_confirmation(session, order.user_id, order.buyer_email, order.id)
    if token is None or not await may_send(session, "confirmation", token.email):
        return None
    link = f"{get_settings().base_url}/account/verify#{iam.write_link(token)}"
    page = Page([each.format(reference=order.reference) for each in texts.CONFIRM_TEXT], texts.CONFIRM_BUTTON, link)
    return make_email("confirmation", token.email, texts.CONFIRM_SUBJECT.format(reference=order.reference), page)


async def compose_invitation(session: AsyncSession, message: organizations.MemberInvited) -> OutgoingEmail | None:
    """The link of an invitation. Without the organization's name, which is a stranger's text: the page shows it."""
    address = await organizations.find_address(session, message.invitation_id)
    if address is None or not await may_send(session, "invitation", address):
        return None
    token = iam.write_token(message.invitation_id, organizations.INVITATION_PURPOSE)
    page = Page(texts.INVITED_TEXT, texts.INVITED_BUTTON, f"{get_settings().base_url}/account/invitation#{token}")
    return make_email("invitation", address, texts.INVITED_SUBJECT, page)


async def request_tickets_emails(session: AsyncSession, message: iam.EmailVerified | iam.RecipientConfirmed) -> None:
    """Request the emails that waited for this address to be confirmed: one per paid order for an event to come."""
    if isinstance(message, iam.RecipientConfirmed):
        address = await iam.get_recipient(session, message.token_id)
    else:
        user = (await iam.list_users(session, [message.user_id])).get(message.user_id)
        address = user.email if user else None
    if address is None:
        return
    for order_id in await orders.list_paid_for(session, message.user_id, address, ORDERS_MAX):
        outbox.publish(session, TicketsEmailRequested(order_id=order_id))


async def compose_refund(session: AsyncSession, message: payments.RefundSucceeded) -> OutgoingEmail | None:
    """The notice of a refund, including the refund of a payment that arrived twice or too late."""
    order = await orders.get_order(session, message.order_id)
    event = await events.get_event(session, order.event_id)
    amount = format_money(message.amount_minor, message.currency, texts.LOCALE)
    if not await may_tell(session, "refund", order.user_id, order.buyer_email):
        return None
    is_recipient = await iam.is_recipient(session, order.user_id, order.buyer_email)
    title = texts.REFUND_TITLE.format(title=texts.quote(event.title)) if is_recipient else ""
    values = {"amount": amount, "reference": order.reference, "title": title}
    text = [paragraph.format(**values) for paragraph in texts.REFUND_TEXT]
    # A reason entered by staff, or at the provider, is internal. A reason of the platform is written for the buyer.
    if message.requested_by is None and message.origin == payments.RefundOrigin.PLATFORM:
        text.append(texts.REFUND_REASON.format(reason=message.reason))
    page = Page(text, texts.REFUND_BUTTON, order_link(order.reference))
    return make_email("refund", order.buyer_email, texts.REFUND_SUBJECT.format(**values), page)


def make_email(
    kind: str, to: str, subject: str, page: Page, make_attachment: Callable[[], Awaitable[Attachment]] | None = None
) -> OutgoingEmail | None:
    """Return None for an erased address (the order outlives it) and for addresses of rehearsals."""
    if "@" not in to or is_undeliverable(to):
        return None
    return OutgoingEmail(kind, to, subject, as_text(page), as_html(page), make_attachment)


async def may_tell(session: AsyncSession, kind: str, user_id: UUID, address: str) -> bool:
    """Whether this email may be sent: always to the person's own verified address, to others within the limits."""
    return await iam.is_own_address(session, user_id, address) or await may_send(session, kind, address)


def order_link(reference: str) -> str:
    """The page of an order."""
    return f"{get_settings().base_url}/o/{reference}"


def describe_passes(passes: Sequence[tickets.Pass]) -> list[tuple[str, str]]:
    """Rows about the event, its time and place, and the order and places of the tickets."""
    first = passes[0]
    lines = [_describe(p) for p in passes[:TICKETS_MAX]]
    if len(passes) > TICKETS_MAX:
        lines.append(texts.TICKETS_MORE.format(count=len(passes) - TICKETS_MAX))
    return [
        (texts.EVENT, texts.clean(first.title)),
        (texts.WHEN, texts.when(first.starts_here, first.ends_here, first.timezone)),
        *([(texts.WHERE, texts.where(first.venue, first.city))] if first.where else []),
        (texts.ORDER, ", ".join(dict.fromkeys(p.reference for p in passes[:TICKETS_MAX]))),
        *((texts.TICKETS if n == 0 else "", line) for n, line in enumerate(lines)),
    ]


def _describe(p: tickets.Pass) -> str:
    return texts.seat(p.place.section, p.place.row, p.place.seat) if p.place else texts.clean(p.kind)


async def _draw_pdf(passes: Sequence[tickets.Pass]) -> Attachment:
    file = await tickets.draw_pdf(passes)
    return Attachment(file.content, file.media_type, file.name)
