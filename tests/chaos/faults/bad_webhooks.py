"""Words that nobody should rely on: webhooks twice, in the wrong order, days late or forged; a poisonous message."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from uuid import uuid4

import orjson

from tests.chaos.faults.fault import Fault
from tests.chaos.faults.kills import PARTS
from tests.chaos.load.buyers import Load, Purchase, webhook
from tests.chaos.platform import Ground
from tests.support.world import API, sign

Webhooks = Callable[[Ground, Load], Awaitable[list[str]]]

#: Who is killed while webhooks arrive, and over how many seconds both are spread.
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


async def ordered(load: Load, seat: str = "") -> Purchase:
    """Up to the payment, which nobody has made."""
    while True:
        purchase, buyer = Purchase(load.show, seat or load.choose(), 0), random.choice(load.people)
        if await load.hold(purchase, buyer):
            await load.order(purchase, buyer)
            if purchase.payment is not None:
                return purchase


async def send_webhooks(ground: Ground, load: Load) -> list[str]:
    """Every way in which a provider, or somebody else, can tell us something."""
    return [what for act in WEBHOOKS for what in await _played(act, ground, load)]


async def send_through_kills(ground: Ground, load: Load) -> list[str]:
    """All of them mixed, each twice, while those who take them and act on them are killed."""
    acts = [_played(act, ground, load, random.uniform(0, SPREAD_SECONDS)) for act in WEBHOOKS * 2]
    wrong, *_ = await asyncio.gather(asyncio.gather(*acts), _kill_in_turn(ground))
    return [what for some in wrong for what in some]


async def _played(act: Webhooks, ground: Ground, load: Load, after_seconds: float = 0) -> list[str]:
    await asyncio.sleep(after_seconds)
    return [f"{act.__name__}: {what}" for what in await act(ground, load)]


async def _kill_in_turn(ground: Ground) -> None:
    for part in random.sample(KILLED, len(KILLED)):
        await asyncio.sleep(random.uniform(0, SPREAD_SECONDS / len(KILLED)))
        with suppress(LookupError):  # one that has just been killed
            ground.send(PARTS[part])


async def five_times_at_once(ground: Ground, load: Load) -> list[str]:
    purchase = await ordered(load)
    raw = webhook("payment.succeeded", purchase.payment or {})
    await asyncio.gather(*(load.client.webhook(raw) for _ in range(5)))
    return await _is_paid(ground, load, purchase)


async def failed_after_success(ground: Ground, load: Load) -> list[str]:
    """Money does not un-arrive."""
    purchase = await ordered(load)
    for kind in ("payment.succeeded", "payment.failed"):
        await load.client.webhook(webhook(kind, purchase.payment or {}))
    return await _is_paid(ground, load, purchase)


async def success_after_failure(ground: Ground, load: Load) -> list[str]:
    """The money is there, whatever was said before."""
    purchase = await ordered(load)
    for kind in ("payment.failed", "payment.succeeded"):
        await load.client.webhook(webhook(kind, purchase.payment or {}))
    return await _is_paid(ground, load, purchase)


async def three_days_late(ground: Ground, load: Load) -> list[str]:
    """The hold is long over and somebody else has bought the seat: the money goes back."""
    late = await ordered(load)
    await ground.query(_END_HOLD, late.reservation_id)
    other = await ordered(load, late.seat)
    await load.pay(other)
    load.purchases.append(other)
    await load.client.webhook(webhook("payment.succeeded", late.payment or {}))
    wrong = []
    if (money := await ground.query(_MONEY, (late.payment or {})["id"])) != [("refunded", 1)]:
        wrong.append(f"the money did not go back once: {money}")
    if (owners := await ground.query(_OWNERS, late.show.id, late.seat)) != [(other.reservation_id,)]:
        wrong.append(f"the seat is not with whoever has bought it: {owners}")
    return wrong


async def forged(ground: Ground, load: Load) -> list[str]:
    """Signed by nobody, by somebody else, long ago, or for another body: nothing happens."""
    purchase = await ordered(load)
    raw = webhook("payment.succeeded", purchase.payment or {})
    true = sign(raw)
    forgeries = [{"Content-Type": "application/json"}, sign(raw, "another secret"), sign(raw, at=1), sign(raw + b" ")]
    wrong = []
    for headers in forgeries:
        status, _ = await load.client.insist("POST", PATH, content=raw, headers=headers)
        if status < 400:
            wrong.append(f"{status} for {headers}")
    if (money := await ground.query(_MONEY, (purchase.payment or {})["id"])) != [("pending", 0)]:
        wrong.append(f"a forgery had an effect: {money}")
    await load.client.insist("POST", PATH, content=raw, headers=true)
    return wrong + await _is_paid(ground, load, purchase)


async def _is_paid(ground: Ground, load: Load, purchase: Purchase) -> list[str]:
    purchase.is_paid = True
    load.purchases.append(purchase)
    money = await ground.query(_MONEY, (purchase.payment or {})["id"])
    return [] if money == [("succeeded", 0)] else [f"the payment is {money}"]


WEBHOOKS: tuple[Webhooks, ...] = (
    five_times_at_once,
    failed_after_success,
    success_after_failure,
    three_days_late,
    forged,
)


async def poison(ground: Ground) -> None:
    """A fact that no reader can read, and one about an order that was never placed."""
    for payload in ({"order_id": "none"}, {"order_id": str(uuid4())}):
        await ground.query(
            """insert into outbox (organization_id, message_id, topic, key, schema_version, payload,
                                   correlation_id, traceparent, actor)
               values (%s, %s, 'order.paid', %s, 1, %s::jsonb, 'chaos', '', 'chaos')""",
            uuid4(),
            uuid4(),
            str(uuid4()),
            orjson.dumps(payload).decode(),
        )


async def letters_are_dead(ground: Ground, load: Load) -> list[str]:
    """They are given up and kept for a person, who throws them away here: the next round begins without them."""
    for _ in range(600):
        if len(await ground.query("select id from dead_letters where message->>'correlation_id' = 'chaos'")) >= 2:
            break
        await asyncio.sleep(0.1)
    else:
        return ["poison was not put away"]
    await ground.query("delete from dead_letters")
    return []


async def nothing_at_first(ground: Ground) -> None:
    """What is wrong here is what is said."""


WORDS = [
    Fault("webhooks", "words", nothing_at_first, act=send_webhooks),
    Fault("webhooks through kills", "words", nothing_at_first, act=send_through_kills, is_outage=True),
    Fault("poison", "words", poison, act=letters_are_dead),
]
