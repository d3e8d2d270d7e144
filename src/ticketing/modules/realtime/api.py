"""The live map: read whole, or watched."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response

from ticketing.infra import app_state
from ticketing.infra.db import Database
from ticketing.infra.http import idempotency
from ticketing.infra.http.envelope import Envelope
from ticketing.modules import events, iam
from ticketing.modules.realtime import metrics, queries
from ticketing.modules.realtime.channel import Channel
from ticketing.modules.realtime.hub import Hub
from ticketing.modules.realtime.response_cache.cache import ROOT, Copies
from ticketing.modules.realtime.response_cache.loaders import make_copy
from ticketing.modules.realtime.response_cache.responses import Copy, respond
from ticketing.modules.realtime.schemas import AvailabilityOut
from ticketing.modules.realtime.stream import SeatStream, begin_stream

router = APIRouter(tags=["Realtime"], route_class=idempotency.Route)

Answers = dict[int | str, dict[str, Any]]
_MAP: Answers = {304: {"description": "Nothing has changed since the answer with this ETag"}}
_STREAM: Answers = {200: {"content": {"text/event-stream": {}}, "description": "snapshot, seats.updated, heartbeat"}}


@router.get("/events/{event_id}/availability", response_model=Envelope[AvailabilityOut], responses=_MAP)
async def get_availability(
    event_id: UUID,
    request: Request,
    viewer: iam.OptionalUser,
    if_none_match: Annotated[str, Header()] = "",
    accept_encoding: Annotated[str, Header()] = "",
) -> Response:
    """The map in one line: a letter per seat. A hold that has run out counts as available."""
    copy = await app_state.of(request.app).get(Copies).take(f"{ROOT}{event_id}/availability")
    if copy is None:
        copy = await _read(app_state.of(request.app).get(Database), event_id, viewer)
    form = copy.select(accept_encoding.encode(), if_none_match.encode())
    assert form is not None  # a map is kept in both forms
    return respond(form)


@router.get("/events/{event_id}/stream", status_code=200, response_class=SeatStream, responses=_STREAM)
async def stream_seats(
    event_id: UUID, request: Request, viewer: iam.OptionalUser, last_event_id: Annotated[str, Header()] = ""
) -> Response:
    """The live map as server-sent events: a snapshot, then changes. `Last-Event-ID` goes on where it broke off."""
    hub = app_state.of(request.app).get(Hub)
    channel = await _open(hub, app_state.of(request.app).get(Database), event_id, viewer)
    return await begin_stream(hub, channel, last_event_id)


async def _open(hub: Hub, database: Database, event_id: UUID, viewer: iam.Identity | None) -> Channel:
    async with hub.lookup(event_id):
        known = hub.find(event_id)
        if known is not None and known.is_public:
            return hub.open(known.organization_id, event_id)
        # A transaction of its own, over before the stream begins: a request's would last as long as its answer.
        async with database.transaction(viewer.user_id if viewer else None) as session:
            event = await events.get_public_event(session, event_id, viewer)
        channel = hub.open(event.organization_id, event.id)
        channel.is_public = event.is_public
        return channel


async def _read(database: Database, event_id: UUID, viewer: iam.Identity | None) -> Copy:
    # A transaction of its own: a request that waits for a copy must have no connection in its hand.
    async with database.transaction(viewer.user_id if viewer else None) as session:
        event = await events.get_public_event(session, event_id, viewer)
        map_ = await queries.get_availability(session, event.organization_id, event.id)
    _, copy = await asyncio.to_thread(make_copy, map_, 0)
    metrics.CACHE_RESPONSES.labels("availability", "database").inc()
    return copy
