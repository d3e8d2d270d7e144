"""Webhooks that are duplicated, out of order, days late or forged."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

from tests.chaos.faults.fault import Fault
from tests.chaos.faults.kills import PARTS
from tests.chaos.load.buyers import Load, Purchase, webhook
from tests.chaos.platform import Platform
from tests.support.world import API, sign

Webhooks = Callable[[Platform, Load], Awaitable[list[str]]]

#: The processes killed while webhooks arrive, and the seconds over which both are spread.
KILLED = ("api", "api", "consumers", "postgres")
SPREAD_SECONDS = 4.0
PATH = f"{API}/payments/webhooks/mock"
_END_HOLD = """
with ended as (
    update reservations set expires_at = now() - interval '3 days', created_at = created_at - interval '3 days'
     where id = %s returning id)
update event_seats s set held_until = now() - interval '3 days' from ended where s.reservation_id = ended.id"""
_MONEY = (
    "select p.status, count(r.id) from payments p left join refunds r on r.payment_id = p.id where p.id = %s group by 1"
)
_OWNERS = "select reservation_id::text from event_seats where event_id = %s and label = %s and status = 's'"


async def place_order(load: Load, seat: str = "") -> Purchase:
    """A purchase up to the open payment."""
    while True:
        purchase, buyer = Purchase(load.show, seat or load.choose(), 0), random.choice(load.people)
        if await load.hold(purchase, buyer):
            await load.order(purchase, buyer)
            if purchase.payment is not None:
                return purchase


async def send_webhooks(platform: Platform, load: Load) -> list[str]:
    """Every kind of webhook, one after the other."""
    return [what for act in WEBHOOKS for what in await _run(act, platform, load)]


async def send_through_kills(platform: Platform, load: Load) -> list[str]:
    """Every kind twice, in random order, while the processes that receive and handle them are killed."""
    acts = [_run(act, platform, load, random.uniform(0, SPREAD_SECONDS)) for act in WEBHOOKS * 2]
    wrong, *_ = await asyncio.gather(asyncio.gather(*acts), _kill_in_turn(platform))
    return [what for some in wrong for what in some]


async def _run(act: Webhooks, platform: Platform, load: Load, after_seconds: float = 0) -> list[str]:
    await asyncio.sleep(after_seconds)
    return [f"{act.__name__}: {what}" for what in await act(platform, load)]


async def _kill_in_turn(platform: Platform) -> None:
    for part in random.sample(KILLED, len(KILLED)):
        await asyncio.sleep(random.uniform(0, SPREAD_SECONDS / len(KILLED)))
        with suppress(LookupError):  # it was killed a moment ago
            platform.send(PARTS[part])


async def five_times_at_once(platform: Platform, load: Load) -> list[str]:
    purchase = await place_order(load)
    raw = webhook("payment.succeeded", purchase.payment or {})
    await asyncio.gather(*(load.client.webhook(raw) for _ in range(5)))
    return await _is_paid(platform, load, purchase)


async def failed_after_success(platform: Platform, load: Load) -> list[str]:
    """A failure after a success changes nothing."""
    purchase = await place_order(load)
    for kind in ("payment.succeeded", "payment.failed"):
        await load.client.webhook(webhook(kind, purchase.payment or {}))
    return await _is_paid(platform, load, purchase)


async def success_after_failure(platform: Platform, load: Load) -> list[str]:
    """A success counts after a failure as well."""
    purchase = await place_order(load)
    for kind in ("payment.failed", "payment.succeeded"):
        await load.client.webhook(webhook(kind, purchase.payment or {}))
    return await _is_paid(platform, load, purchase)


async def three_days_late(platform: Platform, load: Load) -> list[str]:
    """The hold lapsed and another buyer bought the seat: the late money is refunded."""
    late = await place_order(load)
    await platform.query(_END_HOLD, late.reservation_id)
    other = await place_order(load, late.seat)
    await load.pay(other)
    load.purchases.append(other)
    await load.client.webhook(webhook("payment.succeeded", late.payment or {}))
    wrong = []
    if (money := await platform.query(_MONEY, (late.payment or {})["id"])) != [("refunded", 1)]:
        wrong.append(f"the money was not refunded exactly once: {money}")
    if (owners := await platform.query(_OWNERS, late.show.id, late.seat)) != [(other.reservation_id,)]:
        wrong.append(f"the seat does not belong to its buyer: {owners}")
    return wrong


async def forged(platform: Platform, load: Load) -> list[str]:
    """Unsigned, signed with another secret, expired, or signed for another body: no effect."""
    purchase = await place_order(load)
    raw = webhook("payment.succeeded", purchase.payment or {})
    valid = sign(raw)
    forgeries = [{"Content-Type": "application/json"}, sign(raw, "another secret"), sign(raw, at=1), sign(raw + b" ")]
    wrong = []
    for headers in forgeries:
        status, _ = await load.client.insist("POST", PATH, content=raw, headers=headers)
        if status < 400:
            wrong.append(f"{status} for {headers}")
    if (money := await platform.query(_MONEY, (purchase.payment or {})["id"])) != [("pending", 0)]:
        wrong.append(f"a forgery had an effect: {money}")
    await load.client.insist("POST", PATH, content=raw, headers=valid)
    return wrong + await _is_paid(platform, load, purchase)


async def _is_paid(platform: Platform, load: Load, purchase: Purchase) -> list[str]:
    purchase.is_paid = True
    load.purchases.append(purchase)
    money = await platform.query(_MONEY, (purchase.payment or {})["id"])
    return [] if money == [("succeeded", 0)] else [f"the payment is {money}"]


WEBHOOKS: tuple[Webhooks, ...] = (
    five_times_at_once,
    failed_after_success,
    success_after_failure,
    three_days_late,
    forged,
)


async def no_fault(platform: Platform) -> None:
    """The fault is in what is sent during the round."""


BAD_WEBHOOKS = [
    Fault("webhooks", "words", no_fault, act=send_webhooks),
    Fault("webhooks through kills", "words", no_fault, act=send_through_kills, is_outage=True),
]
