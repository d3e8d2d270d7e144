"""A slow external effect over Kafka: a member that joins meanwhile does not repeat it."""

import asyncio
import math
import time

import pytest
from confluent_kafka.admin import AdminClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.infra.kafka.pipeline import Pipeline, SeatPainted
from tests.modules.notifications.smtp_server import open_smtp_server
from tests.support.time_limits import PATIENCE_SECONDS
from ticketing.infra import bus
from ticketing.infra.kafka import partition_queues
from ticketing.infra.kafka.membership import SESSION_SECONDS, Member
from ticketing.infra.mail import OutgoingEmail, SmtpMailer

pytestmark = pytest.mark.kafka
SEATS = "ABCDEFGHIJKL"


async def _until_handing_over(pipeline: Pipeline) -> None:
    """Wait until two members share the group, and the first one still has to give up partitions."""
    admin = AdminClient({"bootstrap.servers": pipeline.settings.kafka_bootstrap_servers})

    def count() -> tuple[int, int]:
        found = admin.describe_consumer_groups([pipeline.group.name])[pipeline.group.name].result(20)
        return len(found.members), sum(len(member.assignment.topic_partitions) for member in found.members)

    members, assigned = 1, 0
    async with asyncio.timeout(PATIENCE_SECONDS):
        while members < 2 or not 0 < assigned < pipeline.settings.kafka_partitions:
            members, assigned = await asyncio.to_thread(count)


async def _until_done(pipeline: Pipeline, count: int) -> None:
    query, done = text("select count(*) from inbox where consumer = :group"), 0
    async with asyncio.timeout(PATIENCE_SECONDS):
        while done < count:
            await asyncio.sleep(0.05)
            async with pipeline.database.transaction() as session:
                done = await session.scalar(query, {"group": pipeline.group.name}) or 0


async def test_emails_that_are_being_sent_when_a_member_joins_are_sent_once(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All partitions have one in progress, and some are handed over, which waits longer than for a transaction."""
    monkeypatch.setattr(partition_queues, "CLOSE_SECONDS", 0.1)
    release = asyncio.Event()

    async def compose(session: AsyncSession, message: SeatPainted) -> OutgoingEmail:
        return OutgoingEmail("test", f"{message.seat}@example.com", "Hello", "Words", "<p>Words</p>")

    async with open_smtp_server() as smtp:
        mailer, smtp.before_reply = SmtpMailer(smtp.url, "post@tickets.test"), release.wait
        pipeline.group = bus.ExternalGroup(pipeline.group.name, {pipeline.message: compose}, mailer.send)
        await pipeline.publish(*[(seat, 1) for seat in SEATS])
        async with pipeline.relaying(), pipeline.consuming():
            while not smtp.emails:  # noqa: ASYNC110 (the server has no event)
                await asyncio.sleep(0.05)
            async with pipeline.consuming():
                await _until_handing_over(pipeline)
                # Ten times as long as a transaction may take.
                await asyncio.sleep(1)
                release.set()
                await _until_done(pipeline, len(SEATS))
        assert sorted(email["To"] for email in smtp.emails) == [f"{seat}@example.com" for seat in SEATS]


async def test_a_member_that_was_suspended_for_longer_than_its_session_begins_no_effect(pipeline: Pipeline) -> None:
    member = Member(pipeline.settings.kafka_bootstrap_servers, pipeline.group.name, lambda partitions, is_owned: None)
    member.check_membership()
    member._fetched_at = time.monotonic() - SESSION_SECONDS
    with pytest.raises(bus.Retry):
        member.check_membership()
    member._fetched_at = math.inf
    member.check_membership()
