"""Routes of the live map: the whole map, and its stream."""

import asyncio
from contextlib import ExitStack
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response

from ticketing.infra import app_state, log
from ticketing.infra.db import Database
from ticketing.infra.http import idempotency
from ticketing.infra.http.caching.representations import Representations
from ticketing.infra.http.envelope import Envelope
from ticketing.infra.security.client_network import network_of
from ticketing.modules import events, iam
from ticketing.modules.realtime import metrics, queries
from ticketing.modules.realtime.channel import Channel
from ticketing.modules.realtime.hub import Hub
from ticketing.modules.realtime.response_cache.cache import ResponseCache
from ticketing.modules.realtime.response_cache.loaders import render_map
from ticketing.modules.realtime.response_cache.targets import AVAILABILITY, target_of
from ticketing.modules.realtime.schemas import AvailabilityOut
from ticketing.modules.realtime.stream import SeatStream, begin_stream

router = APIRouter(tags=["Realtime"], route_class=idempotency.Route)

_Responses = dict[int | str, dict[str, Any]]
_MAP: _Responses = {304: {"description": "Nothing has changed since the response with this ETag"}}
_STREAM: _Responses = {200: {"content": {"text/event-stream": {}}, "description": "snapshot, seats.updated, heartbeat"}}


@router.get("/events/{event_id}/availability", response_model=Envelope[AvailabilityOut], responses=_MAP)
async def get_availability(
    event_id: UUID,
    request: Request,
    viewer: iam.OptionalUser,
    if_none_match: Annotated[str, Header()] = "",
    accept_encoding: Annotated[str, Header()] = "",
) -> Response:
    """The seat map as one string with one letter per seat. A lapsed hold counts as available."""
    cached = await app_state.of(request.app).get(ResponseCache).get(target_of(event_id, AVAILABILITY).key)
    if cached is not None:
        return cached.representations.respond(request)
    return (await _read(app_state.of(request.app).get(Database), event_id, viewer)).respond(request)


@router.get("/events/{event_id}/stream", status_code=200, response_class=SeatStream, responses=_STREAM)
async def stream_seats(
    event_id: UUID, request: Request, viewer: iam.OptionalUser, last_event_id: Annotated[str, Header()] = ""
) -> Response:
    """The live map as server-sent events: a snapshot, then changes. `Last-Event-ID` resumes an interrupted stream."""
    hub = app_state.of(request.app).get(Hub)
    with ExitStack() as counted:
        counted.enter_context(hub.addresses.counted(network_of(log.client_address.get())))
        channel = await _open(hub, app_state.of(request.app).get(Database), event_id, viewer)
        stream = await begin_stream(hub, channel, last_event_id)
        stream.counted = counted.pop_all()
        return stream


async def _open(hub: Hub, database: Database, event_id: UUID, viewer: iam.Identity | None) -> Channel:
    async with hub.lookup(event_id):
        known = hub.find(event_id)
        if known is not None and known.is_public:
            return hub.open(known.organization_id, event_id)
        # Its own transaction, finished before the stream begins: the request's would last as long as the response.
        async with database.transaction(viewer.user_id if viewer else None) as session:
            event = await events.get_public_event(session, event_id, viewer)
        channel = hub.open(event.organization_id, event.id)
        channel.is_public = event.is_public
        return channel


async def _read(database: Database, event_id: UUID, viewer: iam.Identity | None) -> Representations:
    # Its own transaction: a request that waits for the cache must not occupy a connection.
    async with database.transaction(viewer.user_id if viewer else None) as session:
        event = await events.get_public_event(session, event_id, viewer)
        map_ = await queries.get_availability(session, event.organization_id, event.id)
    response = await asyncio.to_thread(render_map, map_)
    metrics.CACHE_RESPONSES.labels("availability", "database").inc()
    return response
