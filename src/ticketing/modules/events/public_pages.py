"""What the pages show before any script has run: the API's own answers."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.errors import NotFound
from ticketing.infra.http.pagination import PageQuery
from ticketing.modules.events.inventory.counts import count_lately
from ticketing.modules.events.queries import get_public_event
from ticketing.modules.events.schemas import EventOut
from ticketing.modules.events.search import EventQuery, list_published
from ticketing.modules.events.views import describe_event, describe_events

SHOWN = 50


async def describe_upcoming(session: AsyncSession) -> list[EventOut]:
    """The next published events, soonest first."""
    rows = await list_published(session, EventQuery(), PageQuery(limit=SHOWN))
    return await describe_events(session, rows[:SHOWN], count_lately)


async def find_published(session: AsyncSession, event_id: str) -> EventOut | None:
    """An event as everybody may see it; None for drafts, unknown ones, and what is no id at all."""
    try:
        event = await get_public_event(session, UUID(event_id), None)
    except (NotFound, ValueError):
        return None
    return await describe_event(session, event, count_lately)
