"""Routes of tickets, for their holders and for staff."""

from collections.abc import Awaitable
from functools import partial
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from ticketing.infra import app_state
from ticketing.infra.db import Database, Db, ReadDb
from ticketing.infra.http import idempotency
from ticketing.infra.http.envelope import Envelope, envelope
from ticketing.infra.http.idempotency import IdempotencyKey
from ticketing.infra.http.pagination import Page
from ticketing.modules import iam
from ticketing.modules.tickets import queries, refunds, service, ticket_rows
from ticketing.modules.tickets.codes import keyring
from ticketing.modules.tickets.documents import files as documents
from ticketing.modules.tickets.documents.files import File
from ticketing.modules.tickets.schemas import OrderRefundOut, RefundOrder, TicketOut, TransferOut, TransferTicket

router = APIRouter(tags=["tickets"], route_class=idempotency.Route)
well_known = APIRouter(tags=["tickets"])


@router.get("/me/tickets")
async def list_mine(holder: iam.CurrentUser, page: Page, reads: ReadDb) -> Envelope[list[TicketOut]]:
    """List the tickets that the caller holds, newest first."""
    tickets, cursor = await ticket_rows.describe_of_user(reads, holder.user_id, page)
    return envelope(tickets, next_cursor=cursor)


@router.get("/tickets/{ticket_id}")
async def get_ticket(ticket_id: UUID, viewer: iam.CurrentUser, reads: ReadDb) -> Envelope[TicketOut]:
    """Get a ticket as its holder or as staff of its organization."""
    return envelope(await ticket_rows.describe_visible_ticket(reads, ticket_id, viewer))


@router.get("/orders/{order_id}/tickets")
async def list_of_order(order_id: UUID, viewer: iam.CurrentUser, session: Db) -> Envelope[list[TicketOut]]:
    """List all tickets of an order. Tickets held by another user come without their code, except for staff."""
    _, tickets, held_ids = await queries.get_visible_order(session, order_id, viewer)
    return envelope(await queries.describe(session, tickets, held_ids))


@router.get("/tickets/{ticket_id}/pdf", response_class=Response, responses={200: {"content": {"application/pdf": {}}}})
async def get_pdf(ticket_id: UUID, viewer: iam.CurrentUser, request: Request) -> Response:
    """Download the ticket as a PDF."""
    database = app_state.of(request.app).get(Database)
    return await _drawn(documents.ticket_pdf(database, ticket_id, viewer, partial(_is_connected, request)))


@router.get("/tickets/{ticket_id}/qr.svg", response_class=Response, responses={200: {"content": {"image/svg+xml": {}}}})
async def get_qr(ticket_id: UUID, viewer: iam.CurrentUser, request: Request) -> Response:
    """Get the ticket's QR code as an SVG."""
    return _file(await documents.ticket_qr(app_state.of(request.app).get(Database), ticket_id, viewer), "inline")


@router.get(
    "/tickets/{ticket_id}/calendar.ics", response_class=Response, responses={200: {"content": {"text/calendar": {}}}}
)
async def get_calendar(ticket_id: UUID, viewer: iam.CurrentUser, request: Request) -> Response:
    """Download the event as a calendar entry."""
    return _file(await documents.ticket_calendar(app_state.of(request.app).get(Database), ticket_id, viewer))


@router.get(
    "/orders/{order_id}/tickets.pdf", response_class=Response, responses={200: {"content": {"application/pdf": {}}}}
)
async def get_order_pdf(order_id: UUID, viewer: iam.CurrentUser, request: Request) -> Response:
    """Download the tickets of an order as a PDF with one page per ticket."""
    database = app_state.of(request.app).get(Database)
    return await _drawn(documents.order_pdf(database, order_id, viewer, partial(_is_connected, request)))


@router.post("/tickets/{ticket_id}/transfer")
async def transfer_ticket(
    ticket_id: UUID, body: TransferTicket, caller: iam.CurrentUser, session: Db
) -> Envelope[TransferOut]:
    """Transfer a ticket to another user. The ticket gets a new code, and the previous code becomes invalid."""
    await service.transfer_ticket(session, ticket_id, caller, body.email)
    return envelope(TransferOut(ticket_id=ticket_id, email=body.email), "Transferred")


@router.post("/orders/{order_id}/refunds", status_code=201)
async def refund_order(
    order_id: UUID, body: RefundOrder, key: IdempotencyKey, staff: iam.CurrentUser, session: Db
) -> Envelope[OrderRefundOut]:
    """Refund money, void tickets, or both. For staff of the order's organization."""
    return envelope(await refunds.refund(session, order_id, staff, body), "Refunded")


@well_known.get("/.well-known/ticketing-keys.json")
async def get_keys(response: Response) -> dict[str, Any]:
    """Get the public keys of ticket codes, for scanners that work offline. docs/integrations.md has the format."""
    response.headers["Cache-Control"] = "public, max-age=3600"
    return keyring().as_jwks()


async def _drawn(drawing: Awaitable[File]) -> Response:
    try:
        return _file(await drawing)
    except ClientDisconnect:
        return Response(status_code=499)  # for the log: as in nginx, the client closed the connection


async def _is_connected(request: Request) -> bool:
    return not await request.is_disconnected()


def _file(file: File, disposition: str = "attachment") -> Response:
    headers = {"Content-Disposition": f'{disposition}; filename="{file.name}"'}
    return Response(file.content, media_type=file.media_type, headers=headers)
