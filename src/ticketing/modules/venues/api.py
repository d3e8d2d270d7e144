"""Routes of venues, for members and API keys of an organization."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.exceptions import HTTPException

from ticketing.infra.db import Db
from ticketing.infra.http import idempotency
from ticketing.infra.http.envelope import Envelope, envelope
from ticketing.infra.http.pagination import Page
from ticketing.modules import organizations
from ticketing.modules.venues import pretix_import, queries, service
from ticketing.modules.venues.schemas import CreateVenue, ImportVenue, VenueOut

Reader = Annotated[organizations.Access, organizations.may(organizations.Permission.READ_VENUES)]
Editor = Annotated[organizations.Access, organizations.may(organizations.Permission.EDIT_VENUES)]

router = APIRouter(prefix="/orgs/{org_id}/venues", tags=["venues"], route_class=idempotency.Route)

_REQUEST_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": pretix_import.SCHEMA}}}}


@router.post("", status_code=201)
async def create_venue(body: CreateVenue, access: Editor, session: Db) -> Envelope[VenueOut]:
    """Create a venue from sections, rows and numbers of seats."""
    return envelope(VenueOut.model_validate(await service.create_venue(session, access, body)))


@router.post("/import", status_code=201, openapi_extra=_REQUEST_BODY)
async def import_venue(
    request: Request,
    options: Annotated[ImportVenue, Query()],
    access: Editor,
    session: Db,
) -> Envelope[VenueOut]:
    """Create a venue from a seating plan in another program's open format. The body is the plan itself."""
    if "json" not in request.headers.get("content-type", ""):
        raise HTTPException(415)
    venue = await service.import_venue(session, access, await request.body(), options)
    return envelope(VenueOut.model_validate(venue))


@router.get("")
async def list_venues(page: Page, access: Reader, session: Db) -> Envelope[list[VenueOut]]:
    """List the organization's venues, newest first."""
    rows = await queries.list_venues(session, access.organization_id, page)
    kept, cursor = page.cut(rows, lambda venue: [str(venue.id)])
    return envelope([VenueOut.model_validate(venue) for venue in kept], next_cursor=cursor)


@router.get("/{venue_id}")
async def get_venue(venue_id: UUID, access: Reader, session: Db) -> Envelope[VenueOut]:
    """Get a venue."""
    return envelope(VenueOut.model_validate(await queries.get_venue(session, access.organization_id, venue_id)))
