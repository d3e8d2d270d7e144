"""Routes of venues, for members and API keys of an organization."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
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


async def _read_plan(request: Request, org_id: UUID) -> pretix_import.Plan:
    """Authorize, receive and parse a plan before the request's transaction begins: it may take minutes to arrive."""
    await organizations.check_access(request, org_id, organizations.Permission.EDIT_VENUES)
    if "json" not in request.headers.get("content-type", ""):
        raise HTTPException(415)
    return await pretix_import.parse_plan(await request.body())


ImportedPlan = Annotated[pretix_import.Plan, Depends(_read_plan)]


@router.post(
    "/import",
    status_code=201,
    openapi_extra=_REQUEST_BODY,
    # In this order: a claim of an Idempotency-Key begins the transaction.
    dependencies=[Depends(_read_plan), Depends(idempotency.claim)],
)
async def import_venue(
    plan: ImportedPlan,
    options: Annotated[ImportVenue, Query()],
    access: Editor,
    session: Db,
) -> Envelope[VenueOut]:
    """Create a venue from a seating plan in another program's open format. The body is the plan itself."""
    return envelope(VenueOut.model_validate(await service.import_venue(session, access, plan, options)))


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
