"""Orders: what was bought, by which buyer, under which reference, and the state of its payment and refunds."""

from ticketing.modules.orders import personal_data
from ticketing.modules.orders.api import router
from ticketing.modules.orders.checkout import AlreadyOrdered, create_order
from ticketing.modules.orders.checkout_batch import OrderBatches, OrderRequest, place_order
from ticketing.modules.orders.locked_order import LockedOrder, lock_order_row, lock_order_rows, lock_orders_of_all
from ticketing.modules.orders.messages import (
    OrderCancelled,
    OrderCreated,
    OrderExpired,
    OrderPaid,
    OrderRefunded,
    OrderRefundReversed,
)
from ticketing.modules.orders.models import PAID_STATUSES, Order, OrderLine, OrderStatus
from ticketing.modules.orders.payment_batch import UsualSale, lock_sales, paid_messages, pay_orders
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
    Payable,
    PendingSale,
    cancel_order,
    expire_order,
    lock_order,
    lock_sale,
    pay_order,
    query_payable,
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
    "OrderBatches",
    "OrderCancelled",
    "OrderCreated",
    "OrderExpired",
    "OrderLine",
    "OrderOut",
    "OrderPaid",
    "OrderRefundReversed",
    "OrderRefunded",
    "OrderRequest",
    "OrderStatus",
    "Payable",
    "PendingSale",
    "Unsold",
    "UsualSale",
    "cancel_order",
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
    "lock_order_rows",
    "lock_orders_of_all",
    "lock_sale",
    "lock_sales",
    "paid_messages",
    "pay_order",
    "pay_orders",
    "personal_data",
    "place_order",
    "query_payable",
    "record_refund",
    "reverse_refund",
    "router",
]
