"""Runs every consumer group to the end of the log and sends due refunds, at the moment that a test chooses."""

import asyncio

from fastapi import FastAPI
from redis.asyncio import Redis

from ticketing.infra import bus, mail
from ticketing.infra.bus.log_consumer import LogConsumer
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.outbox.encoded_rows import id_of
from ticketing.modules import payments
from ticketing.workers.consumers import groups


async def drain(app: FastAPI, *, attempts_max: int = 3) -> int:
    """Deliver every message of the log, and what results from them; returns the number of rows read."""
    database: Database = app.state.worker_database
    total, all_groups = 0, groups(app.state.get(Redis), mail.connect(app.state.get(Settings)))
    read = sent = 1
    while read or sent:
        read = sum([await drain_group(database, group, attempts_max) for group in all_groups])
        sent = await send_refunds(app)
        total += read
    return total


async def send_refunds(app: FastAPI) -> int:
    """Send the refunds that are due, each once; returns how many succeeded."""
    database: Database = app.state.worker_database
    sent = 0
    for provider in payments.list_providers(app.state.get(Settings)):
        while claimed := await payments.claim_refunds(database, provider, 100):
            sent += sum([await payments.send_refund(database, provider, one) for one in claimed])
    return sent


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
