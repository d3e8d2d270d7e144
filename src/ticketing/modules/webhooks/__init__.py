"""Messages for a tenant's own systems: the change feed, and webhooks that deliver them to its endpoints."""

from fastapi import APIRouter

from ticketing.modules.webhooks import api, models
from ticketing.modules.webhooks.delivery.dispatcher import dispatch, find_due_endpoints
from ticketing.modules.webhooks.delivery.fan_out import fan_out
from ticketing.modules.webhooks.delivery.metrics import record_backlog
from ticketing.modules.webhooks.delivery.retention import clean_webhooks
from ticketing.modules.webhooks.delivery.sender import Sender
from ticketing.modules.webhooks.delivery.ssrf_guard import SsrfGuard
from ticketing.modules.webhooks.feed import api as feed_api
from ticketing.modules.webhooks.feed.long_poll import LongPoll

router = APIRouter()
for each in (feed_api.router, api.router):
    router.include_router(each)

__all__ = [
    "LongPoll",
    "Sender",
    "SsrfGuard",
    "clean_webhooks",
    "dispatch",
    "fan_out",
    "find_due_endpoints",
    "record_backlog",
    "router",
]
