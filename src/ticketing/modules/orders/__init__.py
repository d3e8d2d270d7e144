"""Orders: what was bought, by which buyer, under which reference, and the state of its payment and refunds."""

from ticketing.modules.orders import personal_data
from ticketing.modules.orders.api import router
from ticketing.modules.orders.checkout import AlreadyOrdered, create_order
from ticketing.modules.orders.locked_order import LockedOrder, lock_order_row
from ticketing.modules.orders.messages import (
    OrderCancelled,
    OrderCreated,
    OrderExpired,
    OrderPaid,
    OrderRefunded,
    OrderRefundReversed,
)
from ticketing.modules.orders.models import PAID_STATUSES, Order, OrderLine, OrderStatus
from ticketing.modules.orders.queries import (
    describe,
    get_order,
    get_order_by_reference,
    get_visible_order,
    list_lines,
    list_paid_for,
)
from ticketing.modules.orders.retention import clean_reservations
from ticketing.modules.orders.sale_checks import Unsold
from ticketing.modules.orders.schemas import Buyer, CreateOrder, OrderOut
from ticketing.modules.orders.service import (
    HoldHasEnded,
    PendingSale,
    cancel_order,
    check_payable,
    expire_order,
    lock_order,
    lock_sale,
    pay_order,
    record_refund,
    reverse_refund,
)

__all__ = [
    "PAID_STATUSES",
    "AlreadyOrdered",
    "Buyer",
    "CreateOrder",
    "HoldHasEnded",
    "LockedOrder",
    "Order",
    "OrderCancelled",
    "OrderCreated",
    "OrderExpired",
    "OrderLine",
    "OrderOut",
    "OrderPaid",
    "OrderRefundReversed",
    "OrderRefunded",
    "OrderStatus",
    "PendingSale",
    "Unsold",
    "cancel_order",
    "check_payable",
    "clean_reservations",
    "create_order",
    "describe",
    "expire_order",
    "get_order",
    "get_order_by_reference",
    "get_visible_order",
    "list_lines",
    "list_paid_for",
    "lock_order",
    "lock_order_row",
    "lock_sale",
    "pay_order",
    "personal_data",
    "record_refund",
    "reverse_refund",
    "router",
]
