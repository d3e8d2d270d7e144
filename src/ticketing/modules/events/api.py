"""Public routes of events."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Response
from fastapi.responses import StreamingResponse

from ticketing.infra.db import Db
from ticketing.infra.http import idempotency
from ticketing.infra.http.envelope import Envelope, envelope
from ticketing.infra.http.fields import Label
from ticketing.infra.http.pagination import Page
from ticketing.modules import iam
from ticketing.modules.events import layout, queries, search, seat_list, staff_api, views
from ticketing.modules.events.inventory.counts import count_recent, count_shared
from ticketing.modules.events.models import Event
from ticketing.modules.events.schemas import EventOut, SeatmapOut, SeatOut

router = APIRouter(tags=["events"], route_class=idempotency.Route)
router.include_router(staff_api.router)


async def _visible_event(event_id: UUID, session: Db, viewer: iam.OptionalUser) -> Event:
    return await queries.get_public_event(session, event_id, viewer)


VisibleEvent = Annotated[Event, Depends(_visible_event)]


@router.get("/events")
async def list_events(
    wanted: Annotated[search.EventQuery, Depends()], page: Page, session: Db
) -> Envelope[list[EventOut]]:
    """List published events by start time."""
    rows = await search.list_published(session, wanted, page)
    kept, cursor = page.cut(rows, lambda event: search.position_of(event, wanted.sort))
    return envelope(await views.describe_events(session, kept, count_recent), next_cursor=cursor)


@router.get("/events/{event_id}")
async def get_event(event: VisibleEvent, session: Db) -> Envelope[EventOut]:
    """Get an event with its current availability."""
    return envelope(await views.describe_event(session, event, count_shared))


@router.get("/events/{event_id}/seats")
async def list_seats(
    event: VisibleEvent,
    page: Page,
    session: Db,
    section: Label | None = None,
    status: seat_list.Status | None = None,
) -> Envelope[list[SeatOut]]:
    """List the event's seats with their status in order of number, optionally of one section or status."""
    seats, cursor = await seat_list.list_seats(session, event, section, status, page)
    return envelope(seats, next_cursor=cursor)


@router.get("/events/{event_id}/seatmap", responses={200: {"model": Envelope[SeatmapOut]}, 304: {}})
async def get_seatmap(
    event: VisibleEvent,
    session: Db,
    accept_encoding: Annotated[str, Header()] = "",
    if_none_match: Annotated[str, Header()] = "",
) -> Response:
    """Get the layout of the seats without their status; it never changes for a version of the plan."""
    found = await layout.get_layout(session, event)
    if found is None:
        return Response(layout.wrap(layout.NO_SEATS), media_type="application/json")
    audience = "public" if event.is_public else "private"
    headers = {"ETag": found.etag, "Cache-Control": f"{audience}, max-age=31536000, immutable"}
    headers["Vary"] = "Accept-Encoding"
    if found.etag.removeprefix("W/") in if_none_match or if_none_match.strip() == "*":
        return Response(status_code=304, headers=headers)
    if "gzip" in accept_encoding:
        headers["Content-Encoding"] = "gzip"
        return Response(found.gzipped, headers=headers, media_type="application/json")
    return StreamingResponse(found.plain(), headers=headers, media_type="application/json")
