"""Whatever is changed about a signed webhook: it is not taken, and nothing is kept of it."""

import time
from random import Random

import httpx2
import orjson
from fastapi import FastAPI

from tests.fuzz.size import SEED, SIZE, count
from tests.fuzz.webhook_mutants import KINDS, Webhook, sign
from tests.support.world import API, data
from tests.sweeps.database_state import changed_tables, read_state
from tests.sweeps.full_tenant import Stage
from ticketing.modules.payments.mock import MockProvider
from ticketing.modules.payments.providers import BadSignature

PROVIDER = MockProvider("whsec for tests", ())


def is_taken(webhook: Webhook) -> bool:
    """Anything but a refused signature counts as taken, an exception of another kind too."""
    try:
        PROVIDER.verify(webhook.headers, webhook.raw)
    except BadSignature:
        return False
    return True


def signed_now(rng: Random, **facts: object) -> Webhook:
    body = {"id": f"evt_{rng.getrandbits(96):x}", "type": "payment.succeeded", "provider_ref": "mock_1", **facts}
    return sign(orjson.dumps({"amount": rng.randint(1, 10**6), "currency": "EUR", **body}), int(time.time()))


def test_no_mutant_of_a_signed_webhook_is_taken() -> None:
    rng = Random(SEED)
    for number in range(SIZE.webhooks):
        good = signed_now(rng)
        kind = KINDS[number % len(KINDS)]
        mutant = kind(rng, good)
        assert mutant != good
        assert not is_taken(mutant), f"{kind.__name__}: {mutant}"
        if number % 1_000 == 0:
            assert is_taken(good), "without the mistake it would have been"
    count("mutants of webhooks, 0 taken", SIZE.webhooks)


async def test_no_mutant_over_http_leaves_a_trace(app: FastAPI, client: httpx2.AsyncClient, stage: Stage) -> None:
    rng, payment = Random(SEED), await stage.world.payment(stage.buyer, await stage.pend())
    facts = {"provider_ref": payment["provider_ref"], **payment["amount"]}
    before = await read_state(app)
    for kind in KINDS * SIZE.over_http:
        answer = await _post(client, kind(rng, signed_now(rng, **facts)))
        assert answer.status_code == 401, f"{kind.__name__}: {answer.status_code} {answer.text[:300]}"
    assert changed_tables(before, await read_state(app)) == []
    data(await _post(client, signed_now(rng, **facts)))
    count("mutants of webhooks over HTTP, 0 taken", SIZE.over_http * len(KINDS))


async def _post(client: httpx2.AsyncClient, webhook: Webhook) -> httpx2.Response:
    headers = [(name.encode(), value.encode("utf-8")) for name, value in webhook.headers.items()]
    return await client.post(f"{API}/payments/webhooks/mock", content=webhook.raw, headers=headers)
