"""Export orders as CSV, streamed one page at a time and protected against CSV injection."""

import csv
import io
from collections.abc import AsyncIterator, Iterable
from uuid import UUID

from ticketing.infra.db import Database
from ticketing.infra.formats.currencies import to_decimal
from ticketing.infra.http.fields import Money, rfc3339
from ticketing.modules.orders.queries import OrderFilter, iterate_pages
from ticketing.modules.orders.schemas import OrderOut

COLUMNS = (
    "reference",
    "status",
    "event",
    "starts_at",
    "buyer_email",
    "buyer_name",
    "quantity",
    "seats",
    "total",
    "refunded",
    "currency",
    "created_at",
    "paid_at",
)
#: Spreadsheets evaluate a cell with one of these prefixes as a formula (OWASP, "CSV injection").
_FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r")


async def write_csv(database: Database, organization_id: UUID, filters: OrderFilter) -> AsyncIterator[str]:
    """Yield the file in chunks: the header, then one chunk per page of orders."""
    yield _csv_text([COLUMNS])
    async for page in iterate_pages(database, organization_id, filters):
        yield _csv_text(_row(order) for order in page)


def _row(order: OrderOut) -> tuple[str, ...]:
    return (
        order.reference,
        order.status,
        order.event.title,
        rfc3339(order.event.starts_at),
        order.buyer.email,
        order.buyer.name,
        str(sum(line.quantity for line in order.lines)),
        " ".join(line.seat for line in order.lines if line.seat),
        _decimal(order.total),
        _decimal(order.refunded),
        order.total.currency,
        rfc3339(order.created_at),
        rfc3339(order.paid_at) if order.paid_at else "",
    )


def _decimal(money: Money) -> str:
    """Bookkeeping software expects major units: 45.00, not 4500."""
    return str(to_decimal(money.amount, money.currency))


def _csv_text(rows: Iterable[Iterable[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([[_escape_formula(cell) for cell in row] for row in rows])
    return text.getvalue()


def _escape_formula(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA_PREFIXES) else cell
