"""No mutated webhook is accepted, and none changes the database."""

import time
from random import Random

import httpx2
import orjson
from fastapi import FastAPI

from tests.fuzz.size import SEED, SIZE, count
from tests.fuzz.webhook_mutants import KINDS, Webhook, sign
from tests.support.world import API, data
from tests.sweeps.database_state import changed_tables, read_state
from tests.sweeps.full_tenant import FullTenant
from ticketing.modules.payments.mock import MockProvider
from ticketing.modules.payments.providers import BadSignature

PROVIDER = MockProvider("whsec for tests", ())


def is_accepted(webhook: Webhook) -> bool:
    """Whether the signature is not refused; any other exception counts as accepted."""
    try:
        PROVIDER.verify(webhook.headers, webhook.raw)
    except BadSignature:
        return False
    return True


def signed_now(rng: Random, **fields: object) -> Webhook:
    body = {"id": f"evt_{rng.getrandbits(96):x}", "type": "payment.succeeded", "provider_ref": "mock_1", **fields}
    return sign(orjson.dumps({"amount": rng.randint(1, 10**6), "currency": "EUR", **body}), int(time.time()))


def test_no_mutant_of_a_signed_webhook_is_accepted() -> None:
    rng = Random(SEED)
    for number in range(SIZE.webhooks):
        valid = signed_now(rng)
        kind = KINDS[number % len(KINDS)]
        mutant = kind(rng, valid)
        assert mutant != valid
        assert not is_accepted(mutant), f"{kind.__name__}: {mutant}"
        if number % 1_000 == 0:
            assert is_accepted(valid), "the unchanged webhook is accepted"
    count("mutants of webhooks, 0 accepted", SIZE.webhooks)


async def test_no_mutant_over_http_changes_the_database(
    app: FastAPI, client: httpx2.AsyncClient, tenant: FullTenant
) -> None:
    rng, payment = Random(SEED), await tenant.world.payment(tenant.buyer, await tenant.create_order())
    fields = {"provider_ref": payment["provider_ref"], **payment["amount"]}
    before = await read_state(app)
    for kind in KINDS * SIZE.over_http:
        response = await _post(client, kind(rng, signed_now(rng, **fields)))
        assert response.status_code == 401, f"{kind.__name__}: {response.status_code} {response.text[:300]}"
    assert changed_tables(before, await read_state(app)) == []
    data(await _post(client, signed_now(rng, **fields)))
    count("mutants of webhooks over HTTP, 0 accepted", SIZE.over_http * len(KINDS))


async def _post(client: httpx2.AsyncClient, webhook: Webhook) -> httpx2.Response:
    headers = [(name.encode(), value.encode("utf-8")) for name, value in webhook.headers.items()]
    return await client.post(f"{API}/payments/webhooks/mock", content=webhook.raw, headers=headers)
