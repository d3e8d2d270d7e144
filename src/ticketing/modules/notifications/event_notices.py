"""Emails to buyers and holders of tickets about an event that was moved or cancelled, with the new calendar file.

A message fans out into one request per recipient, page by page, in the transaction of the message's inbox row: a
message that is delivered twice requests each email once.
"""

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.config import get_settings
from ticketing.infra.mail import Attachment, OutgoingEmail
from ticketing.modules import events, iam, orders, tickets
from ticketing.modules.notifications import texts
from ticketing.modules.notifications.emails import describe_passes, make_email, may_tell, order_link
from ticketing.modules.notifications.layout import Page
from ticketing.modules.notifications.messages import EventNoticeRequested, EventNoticesContinued

#: Requests per transaction.
PAGE_ROWS = 500
#: Changes that move an event, as the fields of `EventUpdated.changed`.
_MOVES = frozenset({"starts_at", "ends_at", "timezone", "venue_id"})


async def request_move_notices(session: AsyncSession, message: events.EventUpdated) -> None:
    """Request the emails about a changed time or place; no other change needs one."""
    # A message without a sequence is of a release that sent no such emails.
    if message.calendar_sequence is not None and _MOVES & set(message.changed):
        await _request_page(session, EventNoticesContinued(event_id=message.event_id, about=message.topic))


async def request_cancellation_notices(session: AsyncSession, message: events.EventCancelled) -> None:
    """Request the emails about a cancelled event."""
    if message.calendar_sequence is not None:
        await _request_page(session, EventNoticesContinued(event_id=message.event_id, about=message.topic))


async def continue_notices(session: AsyncSession, message: EventNoticesContinued) -> None:
    """Request the emails of the next page of recipients."""
    await _request_page(session, message)


async def _request_page(session: AsyncSession, part: EventNoticesContinued) -> None:
    event = await events.get_event(session, part.event_id)
    after = tickets.EventRecipient(part.after_user_id, part.after_order_id) if part.after_user_id else None
    page = await tickets.list_recipients(session, event, after, PAGE_ROWS)
    for user_id, order_id in page:
        ids = {"event_id": event.id, "user_id": user_id, "order_id": order_id}
        outbox.publish(session, EventNoticeRequested(**ids, about=part.about))
    if len(page) == PAGE_ROWS:
        last = {"after_user_id": page[-1].user_id, "after_order_id": page[-1].order_id}
        outbox.publish(session, part.model_copy(update=last))


async def compose_event_notice(session: AsyncSession, message: EventNoticeRequested) -> OutgoingEmail | None:
    """The notice of a moved or cancelled event. None for a move of an event that was cancelled meanwhile.

    An address that may get no content yet (see `iam.is_recipient`) is told without title, place and file.
    """
    event = await events.get_event(session, message.event_id)
    is_cancelled = message.about == events.EventCancelled.topic
    if is_cancelled != (event.status == events.EventStatus.CANCELLED):
        return None
    kind = "event_cancelled" if is_cancelled else "event_moved"
    address, reference = await _find_address(session, message)
    if not address or not await may_tell(session, kind, message.user_id, address):
        return None
    words = texts.CANCELLED if is_cancelled else texts.MOVED
    link = order_link(reference) if reference else f"{get_settings().base_url}/me"
    if not await iam.is_recipient(session, message.user_id, address):
        page = Page(words.paragraphs, texts.EVENT_BUTTON, link)
        return make_email(kind, address, words.subject.format(title=texts.UNNAMED_EVENT), page)
    passes = await tickets.list_passes_of_recipient(session, event, message.user_id, address)
    rows = describe_passes(passes) if passes else [(texts.EVENT, texts.clean(event.title))]
    page = Page(words.paragraphs, texts.EVENT_BUTTON, link, rows, [words.enclosed] if passes else [])
    subject = words.subject.format(title=texts.quote(event.title))
    return make_email(kind, address, subject, page, _calendar_of(passes) if passes else None)


async def _find_address(session: AsyncSession, message: EventNoticeRequested) -> tuple[str, str | None]:
    """The address and the reference of the order, if it is one of the recipient's; no address after an erasure."""
    if message.order_id is not None:
        order = await orders.get_order(session, message.order_id)
        return order.buyer_email, order.reference
    user = (await iam.list_users(session, [message.user_id])).get(message.user_id)
    return (user.email_normalized if user else ""), None


def _calendar_of(passes: Sequence[tickets.Pass]) -> Callable[[], Awaitable[Attachment]]:
    async def make() -> Attachment:
        file = tickets.event_calendar(passes)
        return Attachment(file.content, file.media_type, file.name)

    return make
