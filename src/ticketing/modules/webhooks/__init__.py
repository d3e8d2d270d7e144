"""What a tenant hears of its own facts: the change feed, and webhooks that bring them to its door."""

from ticketing.modules.webhooks.feed_api import router
from ticketing.modules.webhooks.lookout import Lookout

__all__ = ["Lookout", "router"]
