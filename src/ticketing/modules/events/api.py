"""Public routes of events."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import StreamingResponse

from ticketing.infra.db import Db
from ticketing.infra.http import idempotency
from ticketing.infra.http.caching.representations import represent
from ticketing.infra.http.envelope import Envelope
from ticketing.infra.http.fields import Label
from ticketing.infra.http.pagination import Page
from ticketing.modules import iam
from ticketing.modules.events import layout, public_pages, queries, search, seat_list, staff_api
from ticketing.modules.events.inventory.counts import count_shared
from ticketing.modules.events.models import Event
from ticketing.modules.events.schemas import EventOut, SeatmapOut, SeatOut

router = APIRouter(tags=["events"], route_class=idempotency.Route)
router.include_router(staff_api.router)


async def _visible_event(event_id: UUID, session: Db, viewer: iam.OptionalUser) -> Event:
    return await queries.get_public_event(session, event_id, viewer)


VisibleEvent = Annotated[Event, Depends(_visible_event)]

_UNCHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "Nothing has changed since the response with this ETag"}
}


@router.get("/events", response_model=Envelope[list[EventOut]], responses=_UNCHANGED)
async def list_events(
    wanted: Annotated[search.EventQuery, Depends()], page: Page, session: Db, request: Request
) -> Response:
    """List published events by start time."""
    return represent(await public_pages.render_list(session, wanted, page)).respond(request)


@router.get("/events/{event_id}", response_model=Envelope[EventOut], responses=_UNCHANGED)
async def get_event(event: VisibleEvent, session: Db, request: Request) -> Response:
    """Get an event with its current availability."""
    return represent(await public_pages.render_event(session, event, count_shared)).respond(request)


@router.get("/events/{event_id}/seats", response_model=Envelope[list[SeatOut]], responses=_UNCHANGED)
async def list_seats(
    event: VisibleEvent,
    page: Page,
    session: Db,
    request: Request,
    section: Label | None = None,
    status: seat_list.Status | None = None,
) -> Response:
    """List the event's seats with their status in order of number, optionally of one section or status."""
    body, _ = await public_pages.render_seats(session, event, page, section, status)
    return represent(body).respond(request)


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
