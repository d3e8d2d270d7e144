"""Export orders as CSV, streamed one page at a time."""

from collections.abc import AsyncIterator
from uuid import UUID

from ticketing.infra.db import Database
from ticketing.infra.formats.currencies import to_decimal
from ticketing.infra.formats.spreadsheets import Cell, CsvVariant, LocalTime, start_csv, write_csv
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


async def export_pages(
    database: Database, organization_id: UUID, filters: OrderFilter, variant: CsvVariant
) -> AsyncIterator[str]:
    """Yield the file in chunks: the header, then one chunk per page of orders.

    Variants for spreadsheets have local times, and name the event's time zone in a last column.
    """
    has_zone = variant is not CsvVariant.STANDARD
    yield start_csv((*COLUMNS, "timezone") if has_zone else COLUMNS, variant)
    async for page in iterate_pages(database, organization_id, filters):
        yield write_csv(((*_row(order), order.event.timezone) if has_zone else _row(order) for order in page), variant)


def _row(order: OrderOut) -> tuple[Cell, ...]:
    zone, currency = order.event.timezone, order.total.currency
    return (
        order.reference,
        order.status,
        order.event.title,
        LocalTime(order.event.starts_at, zone),
        order.buyer.email,
        order.buyer.name,
        sum(line.quantity for line in order.lines),
        " ".join(line.seat for line in order.lines if line.seat),
        # Major units, which bookkeeping software expects: 45.00, not 4500.
        to_decimal(order.total.amount, currency),
        to_decimal(order.refunded.amount, currency),
        currency,
        LocalTime(order.created_at, zone),
        LocalTime(order.paid_at, zone) if order.paid_at else None,
    )
