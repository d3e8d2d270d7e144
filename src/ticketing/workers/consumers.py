"""Every consumer group with the messages that it handles, and the process that runs them."""

import asyncio
from functools import partial

from redis.asyncio import Redis

from ticketing.infra import bus, log, mail, redis
from ticketing.infra.bus import ExternalGroup, Group
from ticketing.infra.bus.containment import keep_running
from ticketing.infra.bus.log_consumer import LogConsumer
from ticketing.infra.bus.pace import Pace
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.kafka import consumer as kafka_consumer
from ticketing.infra.redis.commit_notifications import CommitListener
from ticketing.modules import (
    events,
    iam,
    notifications,
    orders,
    organizations,
    payments,
    privacy,
    realtime,
    reservations,
    tickets,
)
from ticketing.workers import refunds

#: Orders whose tickets are issued in one transaction, in two round trips whatever their number.
TICKETS_BATCH_MAX = 128
#: Emails with tickets can wait: drawing and sending them while a sale runs would slow it down. None waits longer than
#: EMAILS_DEFERRED_SECONDS, which is less than the threshold of the alert on the log's lag.
EMAILS_PER_SECOND, EMAILS_BURST, EMAILS_DEFERRED_SECONDS = 2, 10, 25

_log = log.get_logger(__name__)


def groups(connection: Redis, mailer: mail.Mailer) -> list[bus.AnyGroup]:
    """Every consumer group: its name, its messages, and their handlers."""
    return [
        Group(
            "orders",
            {
                reservations.ReservationExpired: orders.expire_order,
                reservations.ReservationCancelled: orders.cancel_order,
            },
        ),
        Group(
            "payments",
            {
                payments.RefundRequested: payments.queue_refund,
                orders.OrderCancelled: payments.close_payment,
                orders.OrderExpired: payments.close_payment,
            },
        ),
        Group(
            "tickets",
            {
                orders.OrderPaid: tickets.issue_tickets,
                organizations.MemberRemoved: tickets.revoke_devices_of_member,
                organizations.MemberRoleChanged: tickets.revoke_devices_of_member,
                payments.RefundSucceeded: tickets.void_refunded,
                payments.DisputeCreated: tickets.void_refunded,
            },
            batch_max=TICKETS_BATCH_MAX,
        ),
        ExternalGroup(
            "notifications",
            {
                iam.EmailVerificationRequested: notifications.compose_verification,
                iam.PasswordResetRequested: notifications.compose_password_reset,
                iam.PasswordChanged: notifications.compose_password_changed,
                tickets.TicketsIssued: notifications.compose_tickets,
                notifications.TicketsEmailRequested: notifications.compose_tickets,
                organizations.MemberInvited: notifications.compose_invitation,
                iam.EmailVerified: notifications.request_tickets_emails,
                iam.RecipientConfirmed: notifications.request_tickets_emails,
                payments.RefundSucceeded: notifications.compose_refund,
                payments.RefundRecorded: notifications.request_refund_notices,
                payments.RefundFailed: notifications.request_refund_notices,
                payments.DisputeCreated: notifications.request_refund_notices,
                payments.DisputeWon: notifications.request_refund_notices,
                payments.DisputeLost: notifications.request_refund_notices,
                notifications.RefundNoticeRequested: notifications.compose_refund_notice,
                notifications.EventNoticeRequested: notifications.compose_event_notice,
            },
            mailer.send,
            pace=Pace({tickets.TicketsIssued}, EMAILS_PER_SECOND, EMAILS_BURST, EMAILS_DEFERRED_SECONDS),
        ),
        # Apart from the emails: a request and the inbox row that prevents a second one commit together.
        Group(
            "event_notices",
            {
                events.EventUpdated: notifications.request_move_notices,
                events.EventCancelled: notifications.request_cancellation_notices,
                notifications.EventNoticesContinued: notifications.continue_notices,
            },
        ),
        # One per transaction: each locks all orders of a person.
        Group(
            "privacy",
            {
                iam.UserErased: privacy.forget_person,
                events.EventCompleted: privacy.forget_identities,
                events.EventCancelled: privacy.forget_identities,
            },
            batch_max=1,
        ),
        realtime.SeatFrames(connection),
    ]


async def run(settings: Settings, database: Database, stop: asyncio.Event) -> None:
    """Run every group until `stop` is set: from Kafka if configured, else from the log with a cursor per group."""
    connection = redis.connect(settings)
    try:
        wake, all_groups = CommitListener(connection), groups(connection, mail.connect(settings))
        async with wake.listening(), asyncio.TaskGroup() as tasks:
            _log.info("consumers_ready", groups=[group.name for group in all_groups])
            tasks.create_task(refunds.run(settings, database, stop))
            for group in all_groups:
                run_group = partial(_run_group, settings, database, group, wake.register(group.topics), stop)
                tasks.create_task(keep_running(group.name, run_group, stop))
    finally:
        await connection.aclose()


async def _run_group(
    settings: Settings, database: Database, group: bus.AnyGroup, wake: asyncio.Event, stop: asyncio.Event
) -> None:
    if settings.is_distributed:
        await kafka_consumer.consume(settings, database, group, stop)
    else:
        await LogConsumer(database, group, wake, settings.consumer_max_attempts).run(stop)
