"""What a tenant hears of its own facts: the change feed, and webhooks that bring them to its door."""

from fastapi import APIRouter

from ticketing.modules.webhooks import api, feed_api, models  # noqa: F401 (registers the tables)
from ticketing.modules.webhooks.lookout import Lookout

router = APIRouter()
for each in (feed_api.router, api.router, api.sealed):
    router.include_router(each)

__all__ = ["Lookout", "router"]
