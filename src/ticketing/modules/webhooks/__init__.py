"""What a tenant hears of its own facts: the change feed, and webhooks that bring them to its door."""

from fastapi import APIRouter

from ticketing.modules.webhooks import api, models
from ticketing.modules.webhooks.delivery.dispatcher import find_due, take_turn
from ticketing.modules.webhooks.delivery.fan_out import fan_out
from ticketing.modules.webhooks.delivery.metrics import record_backlog
from ticketing.modules.webhooks.delivery.retention import clean_webhooks
from ticketing.modules.webhooks.delivery.sender import Sender
from ticketing.modules.webhooks.delivery.ssrf_guard import CheckedBackend
from ticketing.modules.webhooks.feed import api as feed_api
from ticketing.modules.webhooks.feed.long_poll import Lookout

router = APIRouter()
for each in (feed_api.router, api.router, api.sealed):
    router.include_router(each)

__all__ = [
    "CheckedBackend",
    "Lookout",
    "Sender",
    "clean_webhooks",
    "fan_out",
    "find_due",
    "record_backlog",
    "router",
    "take_turn",
]
