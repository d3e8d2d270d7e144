"""The outbox log: how messages are declared, published and read."""

from ticketing.infra.outbox.message import Delivery, Message, known_topics
from ticketing.infra.outbox.models import HORIZON, UNREAD, Cursor, Horizon, OutboxRow, Xid8
from ticketing.infra.outbox.publish import notify_on_commit, publish

__all__ = [
    "HORIZON",
    "UNREAD",
    "Cursor",
    "Delivery",
    "Horizon",
    "Message",
    "OutboxRow",
    "Xid8",
    "known_topics",
    "notify_on_commit",
    "publish",
]
