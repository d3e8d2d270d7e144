"""Who reacts to what, on one screen; and the loop that brings the messages, from the log itself or from Kafka."""

import asyncio
import math
import time

from redis.asyncio import Redis

from ticketing.infra import bus, crash_points, log, mail, metrics, redis
from ticketing.infra.bus import Group, OutwardGroup, dead_letters
from ticketing.infra.bus.batches import Runs, Shared
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.kafka import consumer as kafka_consumer
from ticketing.infra.outbox import Delivery, lease_owner
from ticketing.infra.outbox.reader import PAGE_ROWS, RENEW_SECONDS, STANDBY_SECONDS, LeaseLost, LogReader
from ticketing.infra.redis.commit_notifications import Wake
from ticketing.infra.system.sleep import pause
from ticketing.modules import iam, notifications, orders, payments, privacy, realtime, reservations, tickets

#: Between nudges a reader looks by itself, since a nudge may be lost.
POLL_SECONDS = 1.0

_log = log.get_logger(__name__)


def groups(connection: Redis, mailer: mail.Mailer) -> list[bus.AnyGroup]:
    """The whole policy: each consumer group, and the messages that it reacts to."""
    return [
        Group(
            "orders",
            {
                reservations.ReservationExpired: orders.expire_order,
                reservations.ReservationCancelled: orders.cancel_order,
            },
        ),
        # One by one: what is noted of a refund must not stay locked while the provider is told of the next.
        Group("payments", {payments.RefundRequested: payments.send_refund}, together_max=1),
        Group("tickets", {orders.OrderPaid: tickets.issue_tickets}),
        OutwardGroup(
            "notifications",
            {
                iam.EmailVerificationRequested: notifications.write_verification,
                iam.PasswordResetRequested: notifications.write_reset,
                iam.PasswordChanged: notifications.write_password_changed,
                tickets.TicketsIssued: notifications.write_tickets,
                payments.RefundSucceeded: notifications.write_refund,
            },
            mailer.send,
        ),
        # One by one: each locks all that a person has bought.
        Group("privacy", {iam.UserErased: privacy.forget_person}, together_max=1),
        realtime.SeatFrames(connection),
    ]


async def run(settings: Settings, database: Database, stop: asyncio.Event) -> None:
    """Consume until `stop` is set: each group from Kafka where there is one, else from the log by its own cursor."""
    connection = redis.connect(settings)
    try:
        wake, everybody = Wake(connection), groups(connection, mail.connect(settings))
        async with wake.listening(), asyncio.TaskGroup() as tasks:
            _log.info("consumers_ready", groups=[group.name for group in everybody])
            for group in everybody:
                if settings.is_distributed:
                    tasks.create_task(kafka_consumer.consume(settings, database, group, stop))
                else:
                    consumer = LogConsumer(database, group, wake.register(group.topics), settings.consumer_max_attempts)
                    tasks.create_task(consumer.run(stop))
    finally:
        await connection.aclose()


class LogConsumer:
    """A consumer group that reads the log directly, in log order, under a lease."""

    def __init__(self, database: Database, group: bus.AnyGroup, wake: asyncio.Event, attempts_max: int) -> None:
        self._database, self._group, self._wake, self._attempts_max = database, group, wake, attempts_max
        self.reader = LogReader(database, group.name, lease_owner.this_process(), group.topics)

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop` is set. An outage of the database is waited for, however long it lasts."""
        waits = 0
        while not stop.is_set():
            try:
                if await self.reader.acquire():
                    await self._read(stop)
                else:
                    await pause(STANDBY_SECONDS, stop)
                waits = 0
            except bus.Stopped:
                break
            except LeaseLost:
                _log.warning("lease_lost", group=self._group.name)
            except bus.OUTAGES as error:
                _log.warning("log_unavailable", group=self._group.name, error=type(error).__name__)
                waits += 1
                await pause(bus.backoff_seconds(waits, error), stop)
        await self._release()

    async def _read(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._wake.clear()
            page = await self.reader.read()
            if page:
                await self.consume(page, stop)
                crash_points.at("after_effect_before_cursor")
                self.reader.mark_done(page[-1].log_id)
                metrics.record_read(self._group.name, len(page), page[-1].occurred_at)
            if len(page) < PAGE_ROWS:
                await pause(self._group.rest_seconds, stop)
            if not page:
                await pause(POLL_SECONDS, stop, self._wake)
        await self.reader.settle()

    async def consume(self, page: list[Delivery], stop: asyncio.Event) -> None:
        """Bring every message of a page to its handler; poison goes to the dead letters and its neighbours go on."""
        if not isinstance(self._group, Group):
            await self._group.consume(self._database, page)
            return
        runs, done = Runs(Shared(self._database, self._group), self._attempts_max, stop), 0
        try:
            while done < len(page):
                # A page of slow effects, letters say, outlasts the lease; who stands by would do the rest of it too.
                if RENEW_SECONDS < time.monotonic() - self.reader.held_at < math.inf:
                    await self.reader.renew()
                done += await self._take(self._group, runs, page[done:])
        except bus.Stopped:
            # Whoever goes on begins behind what was done.
            if done:
                await self.reader.advance(page[done - 1].log_id)
            raise

    async def _take(self, group: Group, runs: Runs, deliveries: list[Delivery]) -> int:
        try:
            return await runs.take(deliveries)
        except bus.Poison as poison:
            await dead_letters.bury(self._database, group, deliveries[0], poison)
            return 1

    async def _release(self) -> None:
        try:
            await self.reader.release()
        except bus.OUTAGES as error:
            _log.info("lease_runs_out_by_itself", group=self._group.name, error=type(error).__name__)
