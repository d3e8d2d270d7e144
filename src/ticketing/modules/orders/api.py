"""Routes of orders."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from starlette.responses import Response

from ticketing.infra import app_state
from ticketing.infra.db import Database, Db, ReadDb
from ticketing.infra.formats.spreadsheets import CsvVariant
from ticketing.infra.http import idempotency
from ticketing.infra.http.envelope import Envelope, envelope
from ticketing.infra.http.idempotency import IdempotencyKey
from ticketing.infra.http.pagination import Page
from ticketing.modules import iam, organizations
from ticketing.modules.orders import checkout_batch, order_rows, queries
from ticketing.modules.orders.checkout_batch import OrderRequest
from ticketing.modules.orders.export import export_pages
from ticketing.modules.orders.models import Order
from ticketing.modules.orders.queries import OrderFilterQuery
from ticketing.modules.orders.schemas import CreateOrder, OrderOut

Reader = Annotated[organizations.Access, organizations.may(organizations.Permission.READ_ORDERS)]
Exporter = Annotated[organizations.Access, organizations.may(organizations.Permission.EXPORT_ORDERS)]

router = APIRouter(tags=["orders"], route_class=idempotency.Route)
# It claims its key in the transaction of its batch.
creation = APIRouter()


@creation.post("/orders", status_code=201, response_model=Envelope[OrderOut])
async def create_order(body: CreateOrder, key: IdempotencyKey, buyer: iam.CurrentUser, request: Request) -> Response:
    """Turn an active reservation into an order. An order with a total of 0 is paid immediately."""
    claim = await idempotency.claim_of(request, key)
    return await checkout_batch.place_order(request, OrderRequest(claim, buyer.user_id, body))


@router.get("/orders/by-reference/{reference}")
async def get_order_by_reference(
    reference: str, email: Annotated[str, Query(min_length=3, max_length=254)], session: Db
) -> Envelope[OrderOut]:
    """Get an order without logging in, by its reference and the buyer's email address."""
    return envelope(await _out(session, await queries.get_order_by_reference(session, reference, email)))


@router.get("/orders/{order_id}")
async def get_order(order_id: UUID, viewer: iam.CurrentUser, reads: ReadDb) -> Envelope[OrderOut]:
    """Get an order as its buyer or as staff of its organization."""
    return envelope(await order_rows.describe_visible_order(reads, order_id, viewer))


@router.get("/me/orders")
async def list_mine(buyer: iam.CurrentUser, page: Page, session: Db) -> Envelope[list[OrderOut]]:
    """List the caller's orders, newest first."""
    rows, cursor = await queries.list_of_user(session, buyer.user_id, page)
    return envelope(await queries.describe(session, rows), next_cursor=cursor)


@router.get("/orgs/{org_id}/orders")
async def list_orders(access: Reader, filters: OrderFilterQuery, page: Page, session: Db) -> Envelope[list[OrderOut]]:
    """List the organization's orders, newest first."""
    rows, cursor = await queries.list_of_organization(session, access.organization_id, filters, page)
    return envelope(await queries.describe(session, rows), next_cursor=cursor)


@router.get("/orgs/{org_id}/orders.csv", response_class=StreamingResponse)
async def export_orders(
    access: Exporter, filters: OrderFilterQuery, request: Request, variant: CsvVariant = CsvVariant.STANDARD
) -> StreamingResponse:
    """Export the organization's orders as CSV, oldest first: for programs, or for Excel with a decimal comma or point.

    The request's transaction ends before the body is streamed, so each page is read in a new transaction.
    """
    text = export_pages(app_state.of(request.app).get(Database), access.organization_id, filters, variant)
    headers = {"Content-Disposition": 'attachment; filename="orders.csv"'}
    return StreamingResponse(text, media_type="text/csv; charset=utf-8", headers=headers)


async def _out(session: Db, order: Order) -> OrderOut:
    return (await queries.describe(session, [order]))[0]


router.include_router(creation)
