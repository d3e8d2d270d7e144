"""Rows of the log as strings: what Postgres prints is what is published, and what consumers decode."""

from typing import Any
from uuid import uuid4

import orjson
from sqlalchemy import select

from tests.infra.outbox.test_reader import painted, reader_of, write
from ticketing.infra.db import Database
from ticketing.infra.kafka.records import record_of
from ticketing.infra.outbox import OutboxRow, encoded_rows


async def test_an_encoded_row_has_every_column(database: Database) -> None:
    await write(database, painted(uuid4(), "grün \N{SNOWMAN}\x1e\x1f"))
    (encoded,) = await (await reader_of(database)).read_page()
    async with database.transaction() as session:
        row = (await session.scalars(select(OutboxRow))).one()
    delivery = encoded_rows.decode(encoded)
    columns: dict[str, Any] = {name: getattr(delivery, name) for name in delivery.__dataclass_fields__}
    assert columns.pop("log_id") == row.id
    assert columns == {name: getattr(row, name) for name in columns}
    assert (encoded_rows.id_of(encoded), encoded_rows.topic_of(encoded)) == (row.id, row.topic)


async def test_a_delivery_is_encoded_as_postgres_prints_it(database: Database) -> None:
    await write(database, painted(uuid4(), "grün \N{SNOWMAN}"))
    (encoded,) = await (await reader_of(database)).read_page()
    delivery = encoded_rows.decode(encoded)
    assert encoded_rows.decode(encoded_rows.encode(delivery)) == delivery


async def test_a_record_carries_the_columns_of_its_row(database: Database) -> None:
    await write(database, painted(uuid4(), "grün \N{SNOWMAN}"))
    (encoded,) = await (await reader_of(database)).read_page()
    delivery, record = encoded_rows.decode(encoded), record_of(encoded)
    assert (record.topic, record.key) == ("seat.painted", delivery.key)
    assert orjson.loads(record.value or b"") == delivery.payload
    assert isinstance(record.headers, dict)
    assert record.headers["message_id"] == str(delivery.message_id)
