"""Orders: what was bought, by whom, under a reference that a person can read aloud, and how far it is paid."""

from ticketing.modules.orders import personal_data
from ticketing.modules.orders.api import router
from ticketing.modules.orders.checkout import AlreadyOrdered, create_order
from ticketing.modules.orders.locked_order import LockedOrder
from ticketing.modules.orders.messages import OrderCancelled, OrderCreated, OrderExpired, OrderPaid, OrderRefunded
from ticketing.modules.orders.models import Order, OrderLine, OrderStatus
from ticketing.modules.orders.queries import describe, get_order, get_order_by_reference, get_visible_order, list_lines
from ticketing.modules.orders.schemas import Buyer, CreateOrder, OrderOut
from ticketing.modules.orders.service import (
    SETTLED,
    Deal,
    HoldHasEnded,
    ask_payable,
    cancel_order,
    check_payable,
    expire_order,
    lock_order,
    note_refund,
    pay_order,
)

__all__ = [
    "SETTLED",
    "AlreadyOrdered",
    "Buyer",
    "CreateOrder",
    "Deal",
    "HoldHasEnded",
    "LockedOrder",
    "Order",
    "OrderCancelled",
    "OrderCreated",
    "OrderExpired",
    "OrderLine",
    "OrderOut",
    "OrderPaid",
    "OrderRefunded",
    "OrderStatus",
    "ask_payable",
    "cancel_order",
    "check_payable",
    "create_order",
    "describe",
    "expire_order",
    "get_order",
    "get_order_by_reference",
    "get_visible_order",
    "list_lines",
    "lock_order",
    "note_refund",
    "pay_order",
    "personal_data",
    "router",
]
