"""What a tenant hears of its own facts: the change feed, and webhooks that bring them to its door."""

from fastapi import APIRouter

from ticketing.modules.webhooks import api, feed_api, models  # noqa: F401 (registers the tables)
from ticketing.modules.webhooks.cleaning import clean_webhooks
from ticketing.modules.webhooks.dialing import CheckedBackend
from ticketing.modules.webhooks.fan_out import fan_out
from ticketing.modules.webhooks.lookout import Lookout
from ticketing.modules.webhooks.sending import Sender
from ticketing.modules.webhooks.turns import find_due, take_turn

router = APIRouter()
for each in (feed_api.router, api.router, api.sealed):
    router.include_router(each)

__all__ = ["CheckedBackend", "Lookout", "Sender", "clean_webhooks", "fan_out", "find_due", "router", "take_turn"]
