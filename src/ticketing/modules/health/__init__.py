"""Is this process alive, ready, and is there something that a person has to look at?"""

from ticketing.modules.health.alerts import Alert
from ticketing.modules.health.api import router

__all__ = ["Alert", "router"]
