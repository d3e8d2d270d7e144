"""What everybody may read of events: bodies of the API's responses, and the same objects for the pages."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.errors import NotFound
from ticketing.infra.http.envelope import envelope
from ticketing.infra.http.pagination import PageQuery
from ticketing.modules.events import seat_list
from ticketing.modules.events.inventory.counts import Count, count_now, count_recent
from ticketing.modules.events.models import Event
from ticketing.modules.events.queries import get_public_event
from ticketing.modules.events.schemas import EventOut
from ticketing.modules.events.search import EventQuery, find_query, list_published, position_of
from ticketing.modules.events.views import describe_event, describe_events

SHOWN = 50


async def render_event(session: AsyncSession, event: Event, count: Count = count_now) -> bytes:
    """The response of `GET /events/{event_id}`."""
    return envelope(await describe_event(session, event, count)).model_dump_json().encode()


async def render_list(session: AsyncSession, wanted: EventQuery, page: PageQuery) -> bytes:
    """The response of `GET /events`. Raises Invalid for a cursor of another search."""
    kept, cursor = page.cut(await list_published(session, wanted, page), lambda listed: position_of(listed, wanted))
    described = await describe_events(session, [listed.event for listed in kept], count_recent)
    return envelope(described, next_cursor=cursor).model_dump_json().encode()


async def render_seats(
    session: AsyncSession,
    event: Event,
    page: PageQuery,
    section: str | None = None,
    status: seat_list.Status | None = None,
) -> tuple[bytes, float | None]:
    """The response of `GET /events/{event_id}/seats`, and the seconds until the first hold on its seats lapses.

    Raises Invalid for a wrong cursor.
    """
    seats, cursor = await seat_list.list_seats(session, event, section, status, page)
    lapses_in = await seat_list.find_lapse(session, event, [seat.number for seat in seats if seat.status == "held"])
    return envelope(seats, next_cursor=cursor).model_dump_json().encode(), lapses_in


async def describe_upcoming(session: AsyncSession, words: str = "") -> list[EventOut]:
    """The next published events, soonest first, or those of a search; none for a search that the API refuses."""
    wanted = find_query({"q": words})
    if wanted is None:
        return []
    rows = await list_published(session, wanted, PageQuery(limit=SHOWN))
    return await describe_events(session, [listed.event for listed in rows[:SHOWN]], count_recent)


async def find_published(session: AsyncSession, event_id: str) -> EventOut | None:
    """A published event as the public sees it; None for drafts, unknown ids, and strings that are not ids."""
    try:
        event = await get_public_event(session, UUID(event_id), None)
    except (NotFound, ValueError):
        return None
    return await describe_event(session, event)
