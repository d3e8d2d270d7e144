"""The transaction of a batch, on the driver's connection below a pooled one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection

from ticketing.infra.db.pipeline import DriverConnection, driver_connection
from ticketing.infra.system.outside_calls import transaction_scope


@asynccontextmanager
async def batch_transaction(connection: AsyncConnection) -> AsyncIterator[DriverConnection]:
    """Open a transaction. The block commits it in its last pipeline; if the block raises, it is rolled back."""
    with transaction_scope():
        async with connection.begin():
            yield await driver_connection(connection)
