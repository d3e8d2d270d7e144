"""Who is written to, about what: each handler reads a fact, and returns the letter that it calls for, or none."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.config import get_settings
from ticketing.infra.email_addresses import is_nobodys
from ticketing.infra.mail import Enclosure, Letter
from ticketing.modules import events, iam, orders, payments, tickets
from ticketing.modules.notifications import texts
from ticketing.modules.notifications.layout import Page, as_html, as_text

#: A letter with more tickets than this lists some, and leaves the PDF to the page.
TICKETS_MAX = 20


async def write_verification(session: AsyncSession, message: iam.EmailVerificationRequested) -> Letter | None:
    """None when the link has been used, or has run out while the mail server was away."""
    token = await iam.find_mail_token(session, message.token_id)
    if token is None:
        return None
    link = f"{get_settings().base_url}/account/verify#{iam.write_link(token)}"
    page = Page(texts.VERIFY_TEXT, texts.VERIFY_BUTTON, link)
    return _letter("verification", token.email, texts.VERIFY_SUBJECT, page)


async def write_reset(session: AsyncSession, message: iam.PasswordResetRequested) -> Letter | None:
    """None when nobody has that address, and for the second request within a minute."""
    token = await iam.open_reset(session, message.token_id)
    if token is None:
        return None
    link = f"{get_settings().base_url}/account/reset#{iam.write_link(token)}"
    page = Page(texts.RESET_TEXT, texts.RESET_BUTTON, link)
    return _letter("password_reset", token.email, texts.RESET_SUBJECT, page)


async def write_password_changed(session: AsyncSession, message: iam.PasswordChanged) -> Letter | None:
    """Always to the address itself: whoever has taken an account over can't keep its owner from hearing of it."""
    user = (await iam.list_users(session, [message.user_id])).get(message.user_id)
    if user is None:
        return None
    page = Page(texts.CHANGED_TEXT, texts.CHANGED_BUTTON, f"{get_settings().base_url}/account/reset")
    return _letter("password_changed", user.email, texts.CHANGED_SUBJECT, page)


async def write_tickets(session: AsyncSession, message: tickets.TicketsIssued) -> Letter | None:
    """To the address that the order names. None when no ticket of it admits its buyer any more."""
    address, passes = await tickets.list_passes_of_buyer(session, message.order_id)
    if not passes:
        return None
    is_enclosed = len(passes) <= TICKETS_MAX
    explanation = texts.TICKETS_ENCLOSED if is_enclosed else texts.TICKETS_ONLINE
    link = _order_link(passes[0].reference)
    page = Page(texts.TICKETS_TEXT, texts.TICKETS_BUTTON, link, _rows(passes), [explanation])
    subject = texts.TICKETS_SUBJECT.format(title=passes[0].title, reference=passes[0].reference)
    enclose = partial(_draw, passes) if is_enclosed else None
    return _letter("tickets", address, subject, page, enclose)


async def write_refund(session: AsyncSession, message: payments.RefundSucceeded) -> Letter | None:
    """Also when the money never paid for anything, because it came twice or too late."""
    order = await orders.get_order(session, message.order_id)
    event = await events.get_event(session, order.event_id)
    amount = texts.money(message.amount_minor, message.currency)
    facts = {"amount": amount, "reference": order.reference, "title": event.title}
    text = [paragraph.format(**facts) for paragraph in texts.REFUND_TEXT]
    # What staff write down as the reason is for their books; our own reasons are for the buyer.
    if message.requested_by is None:
        text.append(texts.REFUND_REASON.format(reason=message.reason))
    page = Page(text, texts.REFUND_BUTTON, _order_link(order.reference))
    return _letter("refund", order.buyer_email, texts.REFUND_SUBJECT.format(**facts), page)


def _letter(
    kind: str, to: str, subject: str, page: Page, enclose: Callable[[], Awaitable[Enclosure]] | None = None
) -> Letter | None:
    """None where there is no address any more, for an order outlives the data of its buyer; and for a rehearsal's."""
    if "@" not in to or is_nobodys(to):
        return None
    return Letter(kind, to, subject, as_text(page), as_html(page), enclose)


def _order_link(reference: str) -> str:
    return f"{get_settings().base_url}/o/{reference}"


def _rows(passes: Sequence[tickets.Pass]) -> list[tuple[str, str]]:
    first = passes[0]
    shown = [_describe(each) for each in passes[:TICKETS_MAX]]
    if len(passes) > TICKETS_MAX:
        shown.append(texts.TICKETS_MORE.format(count=len(passes) - TICKETS_MAX))
    return [
        (texts.EVENT, first.title),
        (texts.WHEN, texts.when(first.starts_here, first.ends_here, first.timezone)),
        *([(texts.WHERE, first.where)] if first.where else []),
        (texts.ORDER, first.reference),
        *((texts.TICKETS if n == 0 else "", line) for n, line in enumerate(shown)),
    ]


def _describe(one: tickets.Pass) -> str:
    return texts.seat(one.place.section, one.place.row, one.place.seat) if one.place else one.kind


async def _draw(passes: Sequence[tickets.Pass]) -> Enclosure:
    file = await tickets.draw_pdf(passes)
    return Enclosure(file.content, file.media_type, file.name)
