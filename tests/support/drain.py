"""Runs every consumer group to the end of the log, as the workers would, at the moment a test chooses."""

import asyncio

from fastapi import FastAPI
from redis.asyncio import Redis

from ticketing.infra import bus, mail
from ticketing.infra.bus.log_consumer import LogConsumer
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.outbox.encoded_rows import id_of
from ticketing.workers.consumers import groups


async def drain(app: FastAPI, *, attempts_max: int = 3) -> int:
    """Deliver every message of the log, and the messages that result; returns the number of rows read."""
    database: Database = app.state.worker_database
    total, all_groups = 0, groups(app.state.get(Redis), mail.connect(app.state.get(Settings)))
    while read := sum([await drain_group(database, group, attempts_max) for group in all_groups]):
        total += read
    return total


async def drain_group(database: Database, group: bus.AnyGroup, attempts_max: int = 3) -> int:
    """Run one group to the end of the log; returns the number of rows read."""
    consumer = LogConsumer(database, group, asyncio.Event(), attempts_max)
    stop, total = asyncio.Event(), 0
    assert await consumer.reader.acquire()
    while page := await consumer.reader.read_page():
        await consumer.consume(page, stop)
        await consumer.reader.advance(id_of(page[-1]))
        total += len(page)
    await consumer.reader.release()
    return total
