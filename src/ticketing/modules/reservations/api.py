"""Routes of reservations."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from ticketing.infra import app_state
from ticketing.infra.config import Settings
from ticketing.infra.db import Db
from ticketing.infra.errors import NotFound
from ticketing.infra.http import idempotency
from ticketing.infra.http.envelope import Envelope, envelope
from ticketing.infra.http.idempotency import IdempotencyKey
from ticketing.infra.http.pagination import Page
from ticketing.modules import iam, organizations
from ticketing.modules.reservations import queries, service
from ticketing.modules.reservations.hold.batcher import Holds
from ticketing.modules.reservations.hold.fast_path import as_response
from ticketing.modules.reservations.models import Reservation
from ticketing.modules.reservations.schemas import HoldSeats, ReservationOut

router = APIRouter(tags=["reservations"])
# Every route except the hold itself, which claims its key in the transaction of its batch.
ordinary = APIRouter(tags=["reservations"], route_class=idempotency.Route)


def get_holds(request: Request) -> Holds:
    return app_state.of(request.app).get(Holds)


OpenHolds = Annotated[Holds, Depends(get_holds)]


@router.post("/reservations", status_code=201, response_model=Envelope[ReservationOut])
async def hold_seats(
    request: Request,
    buyer: iam.CurrentUser,
    key: IdempotencyKey,
    body: HoldSeats,
    holds: OpenHolds,
) -> Response:
    """Hold seats or places for the event's `hold_seconds`, all of them or none."""
    return as_response(
        await holds.submit(body.as_request(buyer.user_id, key, await idempotency.fingerprint_of(request)))
    )


@ordinary.get("/me/reservations")
async def list_mine(
    session: Db, buyer: iam.CurrentUser, page: Page, request: Request
) -> Envelope[list[ReservationOut]]:
    rows, cursor = await queries.list_of_user(session, buyer.user_id, page)
    return envelope(await _out(session, rows, request), next_cursor=cursor)


@ordinary.get("/reservations/{reservation_id}")
async def get_reservation(
    reservation_id: UUID, session: Db, viewer: iam.CurrentUser, request: Request
) -> Envelope[ReservationOut]:
    """A reservation of the caller, or of an organization that the caller works for."""
    reservation = await queries.get_reservation(session, reservation_id)
    is_mine = reservation.user_id == viewer.user_id
    may_read = organizations.Permission.READ_RESERVATIONS
    organization_id = reservation.organization_id
    if not is_mine and not await organizations.is_allowed(session, organization_id, viewer.user_id, may_read):
        raise NotFound
    return envelope((await _out(session, [reservation], request))[0])


@ordinary.post("/reservations/{reservation_id}/extend")
async def extend(
    reservation_id: UUID, session: Db, buyer: iam.CurrentUser, request: Request
) -> Envelope[ReservationOut]:
    """Extend the hold once, by the event's `hold_seconds`."""
    limit = app_state.of(request.app).get(Settings).reservation_extensions_max
    reservation = await service.extend(session, reservation_id, buyer.user_id, limit)
    return envelope((await _out(session, [reservation], request))[0], "Extended")


@ordinary.delete("/reservations/{reservation_id}")
async def cancel(
    reservation_id: UUID, session: Db, buyer: iam.CurrentUser, request: Request
) -> Envelope[ReservationOut]:
    """Cancel the hold; its seats are available at once."""
    reservation = await service.cancel(session, reservation_id, buyer.user_id)
    return envelope((await _out(session, [reservation], request))[0], "Cancelled")


async def _out(session: Db, reservations: list[Reservation], request: Request) -> list[ReservationOut]:
    await session.flush()  # the database decides the status, and needs the changes of this request
    items = await queries.items_by_reservation(session, reservations)
    statuses = await queries.statuses_now(session, reservations)
    limit = app_state.of(request.app).get(Settings).reservation_extensions_max
    outs = [ReservationOut.of(r, items[r.id], max(0, limit - r.extensions)) for r in reservations]
    return [out.model_copy(update={"status": statuses[out.id]}) for out in outs]


router.include_router(ordinary)
