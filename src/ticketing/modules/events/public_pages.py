"""Data for the server-rendered pages: the same objects that the API returns."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.errors import NotFound
from ticketing.infra.http.pagination import PageQuery
from ticketing.modules.events.inventory.counts import count_recent
from ticketing.modules.events.queries import get_public_event
from ticketing.modules.events.schemas import EventOut
from ticketing.modules.events.search import EventQuery, list_published
from ticketing.modules.events.views import describe_event, describe_events

SHOWN = 50


async def describe_upcoming(session: AsyncSession) -> list[EventOut]:
    """The next published events, soonest first."""
    rows = await list_published(session, EventQuery(), PageQuery(limit=SHOWN))
    return await describe_events(session, rows[:SHOWN], count_recent)


async def find_published(session: AsyncSession, event_id: str) -> EventOut | None:
    """A published event as the public sees it; None for drafts, unknown ids, and strings that are not ids."""
    try:
        event = await get_public_event(session, UUID(event_id), None)
    except (NotFound, ValueError):
        return None
    return await describe_event(session, event, count_recent)
