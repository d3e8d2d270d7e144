"""Who reacts to what, on one screen; and the loop that brings the messages, from the log itself or from Kafka."""

import asyncio

from redis.asyncio import Redis

from ticketing.infra import bus, log, mail, redis
from ticketing.infra.bus import Group, OutwardGroup
from ticketing.infra.bus.log_consumer import LogConsumer
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.kafka import consumer as kafka_consumer
from ticketing.infra.redis.commit_notifications import Wake
from ticketing.modules import iam, notifications, orders, payments, privacy, realtime, reservations, tickets

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
                iam.EmailVerificationRequested: notifications.compose_verification,
                iam.PasswordResetRequested: notifications.compose_password_reset,
                iam.PasswordChanged: notifications.compose_password_changed,
                tickets.TicketsIssued: notifications.compose_tickets,
                payments.RefundSucceeded: notifications.compose_refund,
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
