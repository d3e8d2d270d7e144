"""The live map: read whole, or watched."""

import hashlib
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Header, Request, Response

from ticketing.infra import idempotency
from ticketing.infra.db import Database, Db
from ticketing.infra.envelope import Envelope
from ticketing.modules import events, iam
from ticketing.modules.realtime import queries
from ticketing.modules.realtime.channel import Channel
from ticketing.modules.realtime.hub import Hub
from ticketing.modules.realtime.queries import Availability
from ticketing.modules.realtime.schemas import AvailabilityOut
from ticketing.modules.realtime.stream import SeatStream, begin_stream

router = APIRouter(tags=["Realtime"], route_class=idempotency.Route)

Answers = dict[int | str, dict[str, Any]]
_MAP: Answers = {304: {"description": "Nothing has changed since the answer with this ETag"}}
_STREAM: Answers = {200: {"content": {"text/event-stream": {}}, "description": "snapshot, seats.updated, heartbeat"}}


@router.get("/events/{event_id}/availability", response_model=Envelope[AvailabilityOut], responses=_MAP)
async def get_availability(
    event_id: UUID, session: Db, viewer: iam.OptionalUser, if_none_match: Annotated[str, Header()] = ""
) -> Response:
    """The map in one line: a letter per seat. A hold that has run out counts as available."""
    event = await events.get_public_event(session, event_id, viewer)
    return _answer(await queries.get_availability(session, event.organization_id, event.id), if_none_match)


@router.get("/events/{event_id}/stream", status_code=200, response_class=SeatStream, responses=_STREAM)
async def stream_seats(
    event_id: UUID, request: Request, viewer: iam.OptionalUser, last_event_id: Annotated[str, Header()] = ""
) -> Response:
    """The live map as server-sent events: a snapshot, then changes. `Last-Event-ID` goes on where it broke off."""
    hub: Hub = request.app.state.hub
    channel = await _open(hub, request.app.state.database, event_id, viewer)
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


def _answer(availability: Availability, if_none_match: str) -> Response:
    data = {
        "version": availability.position.version,
        "seats": availability.seats,
        "areas": availability.areas,
    }
    # By hand: the models would take longer over a large map than the database does.
    body = orjson.dumps({"success": True, "message": "OK", "data": data, "meta": None})
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if etag in if_none_match or if_none_match.strip() == "*":
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)
