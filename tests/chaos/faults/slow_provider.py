"""A payment provider that does not answer while refunds are sent to it: purchases get their tickets all the same."""

from uuid import uuid4

from tests.chaos.faults.fault import Fault
from tests.chaos.load.buyers import Load
from tests.chaos.platform import Platform, until_true

REFUNDS = 3
#: The provider is called again within the longest pause between two attempts.
PATIENCE_SECONDS = 60.0
_IS_TRIED = "select count(*) >= %s from refunds where tries > 0 and status = 'requested' and order_id = any(%s)"
_HAS_TICKET = "select exists (select from tickets where order_id = %s)"
_IS_REFUNDED = "select count(*) = %s from refunds where status = 'succeeded' and order_id = any(%s)"


async def hold_answers_back(platform: Platform) -> None:
    platform.wires["provider"].passes.clear()


async def let_it_answer(platform: Platform) -> None:
    platform.wires["provider"].restore()


async def buy_meanwhile(platform: Platform, load: Load) -> list[str]:
    """Request refunds, wait until they are under way, and buy; the refunds succeed once the provider answers."""
    bought = [purchase for _ in range(REFUNDS) if (purchase := await load.buy()) is not None and purchase.is_paid]
    orders = [purchase.order_id for purchase in bought]
    for order_id in orders:
        path, staff = f"/orders/{order_id}/refunds", load.show.tenant.admin
        status, _ = await load.client.ask("POST", path, {"reason": "Rain"}, key=uuid4().hex, token=staff.token)
        if status != 201:
            return [f"a refund was answered with {status}"]
    wrong = []
    if not await until_true(platform, PATIENCE_SECONDS, _IS_TRIED, len(orders), orders):
        wrong.append("the refunds were not sent")
    purchase = await load.buy()
    if purchase is not None and purchase.is_paid:
        if not await until_true(platform, PATIENCE_SECONDS, _HAS_TICKET, purchase.order_id):
            wrong.append("a ticket waited for the provider of other orders' refunds")
        elif not (await platform.query(_IS_TRIED, len(orders), orders))[0][0]:
            wrong.append("the provider answered before the ticket was issued: nothing was tested")
    await let_it_answer(platform)
    if not await until_true(platform, PATIENCE_SECONDS, _IS_REFUNDED, len(orders), orders):
        wrong.append("the refunds did not succeed")
    return wrong


SLOW_PROVIDER = Fault("slow provider", "outages", hold_answers_back, let_it_answer, act=buy_meanwhile)
