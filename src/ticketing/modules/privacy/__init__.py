"""Personal data: export, erasure and retention."""

from ticketing.modules.privacy.api import router
from ticketing.modules.privacy.erasure import finish_erasures, forget_identities, forget_person
from ticketing.modules.privacy.inventory import NOT_EXPORTED, PARTS
from ticketing.modules.privacy.messages import BuyersForgotten
from ticketing.modules.privacy.retention import forget_old_buyers

__all__ = [
    "NOT_EXPORTED",
    "PARTS",
    "BuyersForgotten",
    "finish_erasures",
    "forget_identities",
    "forget_old_buyers",
    "forget_person",
    "router",
]
