"""Orders as a spreadsheet, streamed a page at a time, that can't be made to run what a buyer has typed."""

import csv
import io
from collections.abc import AsyncIterator, Iterable
from decimal import Decimal
from uuid import UUID

from babel.numbers import get_currency_precision

from ticketing.infra.db import Database
from ticketing.infra.http.fields import Money, rfc3339
from ticketing.modules.orders.queries import OrderFilter, walk_organization
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
#: A cell that begins so is a formula to a spreadsheet (OWASP, "CSV injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


async def write_csv(database: Database, organization_id: UUID, wanted: OrderFilter) -> AsyncIterator[str]:
    """The text of the file in pieces."""
    yield _lines([COLUMNS])
    async for page in walk_organization(database, organization_id, wanted):
        yield _lines(_row(order) for order in page)


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
    """45.00, not 4500: what a bookkeeper expects to read."""
    return str(Decimal(money.amount).scaleb(-get_currency_precision(money.currency)))


def _lines(rows: Iterable[Iterable[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([[_harmless(cell) for cell in row] for row in rows])
    return text.getvalue()


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
