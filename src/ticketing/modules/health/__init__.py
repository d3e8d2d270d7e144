"""Is this process alive, ready, and is there something that a person has to look at?"""

from ticketing.modules.health.alerts import Alert
from ticketing.modules.health.api import router
from ticketing.modules.health.checks import Dependencies
from ticketing.modules.health.monitor import Checkup

__all__ = ["Alert", "Checkup", "Dependencies", "router"]
