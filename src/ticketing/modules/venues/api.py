"""Routes of venues, for members and API keys of an organization."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.exceptions import HTTPException

from ticketing.infra.db import Db
from ticketing.infra.http import idempotency
from ticketing.infra.http.envelope import Envelope, envelope
from ticketing.infra.http.pagination import Page
from ticketing.modules import organizations
from ticketing.modules.venues import pretix, preview, queries, service
from ticketing.modules.venues.models import Venue
from ticketing.modules.venues.schemas import (
    CreatePlan,
    CreateVenue,
    ImportedVenueOut,
    ImportPlan,
    ImportVenue,
    PreviewOut,
    VenueOut,
)

Reader = Annotated[organizations.Access, organizations.may(organizations.Permission.READ_VENUES)]
Editor = Annotated[organizations.Access, organizations.may(organizations.Permission.EDIT_VENUES)]

router = APIRouter(prefix="/orgs/{org_id}/venues", tags=["venues"], route_class=idempotency.Route)

_REQUEST_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": pretix.SCHEMA}}}
}


@router.post("", status_code=201)
async def create_venue(body: CreateVenue, access: Editor, session: Db) -> Envelope[VenueOut]:
    """Create a venue from sections, rows and numbers of seats."""
    return envelope(VenueOut.model_validate(await service.create_venue(session, access, body)))


async def _read_plan(request: Request, org_id: UUID) -> pretix.Plan:
    """Authorize, receive and parse a plan before the request's transaction begins: it may take minutes to arrive."""
    await organizations.check_access(request, org_id, organizations.Permission.EDIT_VENUES)
    if "json" not in request.headers.get("content-type", ""):
        raise HTTPException(415)
    return await pretix.parse_plan(await request.body())


ImportedPlan = Annotated[pretix.Plan, Depends(_read_plan)]

#: In this order: a claim of an Idempotency-Key begins the transaction.
_READ_THEN_CLAIM = [Depends(_read_plan), Depends(idempotency.claim)]


def _imported(venue: Venue, plan: pretix.Plan) -> Envelope[ImportedVenueOut]:
    warnings = {"warnings": plan.warnings, "more_warnings": plan.more_warnings}
    return envelope(ImportedVenueOut(**VenueOut.model_validate(venue).model_dump(), **warnings))


@router.post("/import", status_code=201, openapi_extra=_REQUEST_BODY, dependencies=_READ_THEN_CLAIM)
async def import_venue(
    plan: ImportedPlan,
    options: Annotated[ImportVenue, Query()],
    access: Editor,
    session: Db,
) -> Envelope[ImportedVenueOut]:
    """Create a venue from a seating plan in another program's open format. The body is the plan itself."""
    return _imported(await service.import_venue(session, access, plan, options), plan)


@router.post(
    "/import/preview",
    openapi_extra=_REQUEST_BODY,
    response_model=Envelope[PreviewOut],
    dependencies=_READ_THEN_CLAIM,
)
async def preview_import(plan: ImportedPlan, options: Annotated[ImportVenue, Query()], access: Editor) -> Response:
    """Read a seating plan as an import would, and change nothing: counts, warnings, and the layout to draw."""
    return Response(await asyncio.to_thread(preview.render, plan), media_type="application/json")


@router.post("/{venue_id}/plans", status_code=201)
async def create_plan(venue_id: UUID, body: CreatePlan, access: Editor, session: Db) -> Envelope[VenueOut]:
    """Create the next version of a venue's plan. Events keep theirs until `seats/sync`."""
    return envelope(VenueOut.model_validate(await service.create_plan(session, access, venue_id, body)))


@router.post(
    "/{venue_id}/plans/import",
    status_code=201,
    openapi_extra=_REQUEST_BODY,
    dependencies=_READ_THEN_CLAIM,
)
async def import_plan(
    venue_id: UUID,
    plan: ImportedPlan,
    options: Annotated[ImportPlan, Query()],
    access: Editor,
    session: Db,
) -> Envelope[ImportedVenueOut]:
    """Create the next version of a venue's plan from a file. Events keep theirs until `seats/sync`."""
    return _imported(await service.add_plan(session, access, venue_id, plan.draft), plan)


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
