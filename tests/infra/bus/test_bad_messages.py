"""A row of the log that nothing can process becomes a dead letter, and neither its neighbours nor other groups wait."""

import asyncio

import psycopg
import pytest
from sqlalchemy import text

from tests.infra.bus.bad_messages import FOREIGN, HEADERS, ORGANIZATION, VALUES, Painters, insert_row
from ticketing.infra import log, outbox
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.workers import consumers

#: Nothing but SQL can write these.
SEPARATORS = [bad for bad in FOREIGN if "a separator of rows" in bad.name]


async def append(owner: Database, painters: Painters) -> tuple[list[int], list[str]]:
    """A good row behind each bad row that Postgres accepts; the coats of the good ones, names of the bad ones."""
    good, names = [], []
    url = owner.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for coat, bad in enumerate([*VALUES, *HEADERS, *SEPARATORS]):
            try:
                statement, values = insert_row(bad, painters.message.topic)
                await connection.execute(statement.encode(), values)
            except (ValueError, psycopg.Error):
                continue
            names.append(bad.name)
            good.append(coat)
            async with owner.transaction() as session:
                message = painters.message(organization_id=ORGANIZATION, seat="A", coat=coat)
                outbox.publish(session, message, painters.other(organization_id=ORGANIZATION, seat="A", coat=coat))
    return good, names


async def test_bad_rows_of_every_kind_become_dead_letters_and_stop_no_group(
    settings: Settings, database: Database, owner: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.configure("json", "critical", "consumers")  # a line of a megabyte takes a second
    painters, stop = Painters(database, "log"), asyncio.Event()
    await painters.make_table(owner)
    monkeypatch.setattr(consumers, "groups", painters.groups)
    good, bad = await append(owner, painters)
    assert len(bad) >= 20, f"Postgres accepts only {bad}"
    running = asyncio.create_task(
        consumers.run(settings.model_copy(update={"consumer_max_attempts": 2}), database, stop)
    )
    waiting = asyncio.create_task(painters.wait(good, len(bad)))
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    assert not running.done(), running.exception()
    found = await waiting
    stop.set()
    await running
    single, bulk, others = painters.names
    assert found.effects[single] == found.effects[others] == good, "in order, each once"
    assert {len(found.letters[name]) for name in (single, bulk)} == {len(bad)}
    assert all(letter.origin.startswith("outbox/") and letter.error for letter in found.letters[single])
    async with database.transaction() as session:
        done = await session.scalar(text("select count(*) from inbox where consumer = :name"), {"name": single})
    assert done == len(good) + len(bad), "a dead letter counts as processed"
