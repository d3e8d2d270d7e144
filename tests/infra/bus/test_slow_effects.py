"""An effect that outlasts the lease on the log: it is not repeated by a standby, nor begun after the lease was lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.infra.bus.test_external_groups import EffectRequested
from tests.modules.notifications.smtp_server import open_smtp_server
from tests.support.drain import drain_group
from tests.support.time_limits import PATIENCE_SECONDS
from ticketing.infra import outbox
from ticketing.infra.bus import ExternalGroup
from ticketing.infra.bus.log_consumer import LogConsumer
from ticketing.infra.db import Database
from ticketing.infra.mail import OutgoingEmail, SmtpMailer
from ticketing.infra.outbox import reader as reader_module
from ticketing.infra.outbox.reader import LEASE_SECONDS, LeaseLost, LogReader

Run = Callable[[str, UUID], Awaitable[None]]


async def _name_of(session: AsyncSession, message: EffectRequested) -> str:
    return message.name


def _group(run: Run, prepare: Callable[..., Awaitable[str]] = _name_of) -> ExternalGroup:
    return ExternalGroup(f"effects-{uuid4().hex}", {EffectRequested: prepare}, run)


async def _request(database: Database, *names: str) -> None:
    async with database.transaction() as session:
        for name in names:
            outbox.publish(session, EffectRequested(name=name))


async def _until_done(database: Database, group: ExternalGroup) -> None:
    """Wait for the inbox row of the only message."""
    query = text("select exists (select from inbox where consumer = :group)")
    async with asyncio.timeout(PATIENCE_SECONDS):
        is_done = False
        while not is_done:
            await asyncio.sleep(0.05)
            async with database.transaction() as session:
                is_done = bool(await session.scalar(query, {"group": group.name}))


@asynccontextmanager
async def _running(database: Database, group: ExternalGroup, *owners: str) -> AsyncIterator[None]:
    """Run consumers as processes of other machines, so that none can tell whether another one is alive."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for owner in owners:
            consumer = LogConsumer(database, group, asyncio.Event(), 3)
            consumer.reader = LogReader(database, group.name, owner, group.topics)
            tasks.create_task(consumer.run(stop))
        try:
            yield
        finally:
            stop.set()


async def _take_over(database: Database) -> None:
    """What `LogReader.acquire` of another process does when the lease has run out."""
    change = "lease_owner = 'standby', fence = fence + 1, lease_until = clock_timestamp() + interval '1 minute'"
    async with database.transaction() as session:
        await session.execute(text(f"update outbox_cursor set {change}"))


async def test_a_mail_server_that_takes_ten_seconds_gets_each_email_once(database: Database) -> None:
    assert LEASE_SECONDS < 10
    async with open_smtp_server() as smtp:
        smtp.before_reply = lambda: asyncio.sleep(10)
        mailer = SmtpMailer(smtp.url, "post@tickets.test")

        async def send(name: str, message_id: UUID) -> None:
            await mailer.send(
                OutgoingEmail("test", f"{name}@example.com", "Hello", "Words", "<p>Words</p>"), message_id
            )

        group = _group(send)
        await _request(database, "ada")
        async with _running(database, group, "one", "two"):
            await _until_done(database, group)
        assert [email["To"] for email in smtp.emails] == ["ada@example.com"]


async def test_an_effect_that_is_in_progress_when_the_lease_is_lost_is_cancelled(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "RENEW_SECONDS", 0.05)
    begun, cancelled = list[str](), asyncio.Event()

    async def run(name: str, message_id: UUID) -> None:
        begun.append(name)
        await _take_over(database)
        try:
            await asyncio.sleep(PATIENCE_SECONDS)
        finally:
            cancelled.set()

    group = _group(run)
    await _request(database, "one", "two")
    with pytest.raises(LeaseLost):
        await drain_group(database, group)
    assert cancelled.is_set()
    assert begun == ["one"]


async def test_an_effect_does_not_begin_after_the_lease_was_lost(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a process that was suspended between preparing the effect and performing it."""
    monkeypatch.setattr(reader_module, "RENEW_SECONDS", 0.05)
    begun, consumer = list[str](), None

    async def prepare(session: AsyncSession, message: EffectRequested) -> str:
        await _take_over(database)
        assert consumer is not None
        consumer.reader.held_at -= LEASE_SECONDS
        return message.name

    async def run(name: str, message_id: UUID) -> None:
        begun.append(name)

    group = _group(run, prepare)
    await _request(database, "one")
    consumer = LogConsumer(database, group, asyncio.Event(), 3)
    assert await consumer.reader.acquire()
    with pytest.raises(LeaseLost):
        await consumer.consume(await consumer.reader.read_page(), asyncio.Event())
    assert begun == []


async def test_an_outage_after_the_effect_does_not_repeat_it(database: Database, owner: Database) -> None:
    begun = list[str]()

    async def run(name: str, message_id: UUID) -> None:
        begun.append(name)
        async with owner.transaction() as session:
            ours = "datname = current_database() and usename <> current_user"
            await session.execute(text(f"select pg_terminate_backend(pid) from pg_stat_activity where {ours}"))

    group = _group(run)
    await _request(database, "one")
    async with _running(database, group, "one"):
        await _until_done(owner, group)
    assert begun == ["one"]
