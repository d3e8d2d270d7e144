"""Runs a complete purchase at log level debug, then searches every log for personal data and secrets."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from tests.modules.notifications.smtp_server import SmtpServer, open_smtp_server, token_in
from tests.support.platform import Platform, eventually, opened, tickets_of
from tests.support.world import API, PASSWORD, WEBHOOK_SECRET, Person, World, data, refusal, sign

#: Names for which a trigger refuses the order, tickets or account, so that the error contains personal data. Postgres
#: hides rows under row-level security in such errors; accounts are not under it.
UNLUCKY, DOOMED, HAPLESS = "Quintilian Unlucky", "Euphemia Doomed", "Theophania Hapless"


@pytest.fixture(scope="module")
async def smtp() -> AsyncIterator[SmtpServer]:
    async with open_smtp_server() as smtp:
        yield smtp


@pytest.fixture(scope="module")
def logging_platform(smtp: SmtpServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform that logs at debug level and whose constraints make some requests and messages fail."""
    folder = tmp_path_factory.mktemp("logging") / "data"
    with opened(folder, LOG_LEVEL="debug", SMTP_URL=smtp.url, CONSUMER_MAX_ATTEMPTS="1") as platform:
        with psycopg.connect(platform.database_url()) as connection:
            connection.execute("alter table orders add constraint luck check (buyer_name not like '%Unlucky')")
            connection.execute("alter table users add constraint luck check (display_name not like '%Hapless')")
            connection.execute("alter table tickets add constraint luck check (holder_name not like '%Doomed')")
        yield platform


@pytest.fixture
async def world(logging_platform: Platform) -> AsyncIterator[World]:
    # A connection on which a request has failed is closed, so none is used twice.
    limits = httpx2.Limits(max_keepalive_connections=0)
    async with httpx2.AsyncClient(base_url=logging_platform.url, timeout=30, limits=limits) as client:
        yield World(client)


async def test_no_log_contains_personal_data_or_secrets(
    logging_platform: Platform, world: World, smtp: SmtpServer
) -> None:
    secrets = [PASSWORD, WEBHOOK_SECRET, UNLUCKY, DOOMED, HAPLESS, "Ada Byron", "Zebedee", "@example.com"]
    secrets += await journey(world, smtp)
    secrets += await refusals(world)
    records = await eventually(lambda: dead_letters(logging_platform))
    written = [*logging_platform.folder.rglob("*.log*"), logging_platform.folder.with_suffix(".out")]
    assert len(written) > 4
    found = [f"{path.name}: {secret}" for path in written for secret in secrets if secret in read(path)]
    assert found == []
    assert [secret for secret in secrets if secret in str(records)] == []
    assert "[detail left out]" in "".join(map(read, written))


async def dead_letters(platform: Platform) -> list[tuple[object, ...]]:
    return platform.query("select error, message::text from dead_letters")


def read(path: Path) -> str:
    return path.read_text(errors="replace")


async def journey(world: World, smtp: SmtpServer) -> list[str]:
    """Run from registration to refund and return every secret on the way."""
    show = await world.show()
    ada, bob = await world.person("zebedee"), await world.person("zebedee-friend")
    key = data(await show.tenant.admin.post(show.tenant.path("/api-keys"), {"name": "gate", "role": "ORG_STAFF"}), 201)
    credentials = {"email": ada.email, "password": PASSWORD}
    log_in = data(await world.client.post(f"{API}/auth/login", json=credentials))
    renewed = data(await world.client.post(f"{API}/auth/refresh", json={"refresh_token": log_in["refresh_token"]}))
    order = await world.order(ada, await world.hold(ada, show, "Stalls-A-1", "Stalls-A-2"))
    payment = await world.payment(ada, order)
    data(await world.webhook("payment.succeeded", payment))
    tickets = await tickets_of(ada, order, 2)
    gate = {"Authorization": f"ApiKey {key['key']}"}
    check_in = {"code": tickets[0]["code"], "gate": "North"}
    data(await world.client.post(f"{API}{show.path('/check-ins')}", json=check_in, headers=gate))
    data(await ada.post(f"/tickets/{tickets[1]['id']}/transfer", {"email": bob.email}))
    given = data(await bob.get("/me/tickets"))[0]
    data(await show.tenant.admin.post(f"/orders/{order['id']}/refunds", {"amount": 100}), 201)
    by_reference = f"{API}/orders/by-reference/{order['reference']}"
    data(await world.client.get(by_reference, params={"email": ada.email}))
    letter = await eventually(lambda: first_email(smtp, ada))
    tokens = [log_in["access_token"], log_in["refresh_token"], renewed["access_token"], renewed["refresh_token"]]
    codes = [ticket["code"] for ticket in (*tickets, given)]
    return [ada.email, bob.email, ada.token, ada.refresh_token, key["key"], token_in(letter), *tokens, *codes]


async def first_email(smtp: SmtpServer, person: Person) -> Any:
    return next(iter(smtp.to(person.email)), None)


async def refusals(world: World) -> list[str]:
    """Provoke client and server errors and return every secret on the way."""
    show, eve = await world.show(), await world.person("zebedee-unlucky")
    wrong = {"email": eve.email, "password": "certainly not hers"}
    refusal(await world.client.post(f"{API}/auth/login", json=wrong), 401)
    taken = {"email": eve.email, "password": PASSWORD}
    refusal(await world.client.post(f"{API}/auth/register", json=taken), 409)
    hapless = {"email": "zebedee-hapless@example.com", "password": PASSWORD, "display_name": HAPLESS}
    refusal(await world.client.post(f"{API}/auth/register", json=hapless), 500)
    forged = f"{eve.token[:-4]}AAAA"
    refusal(await world.client.get(f"{API}/me", headers={"Authorization": f"Bearer {forged}"}), 401)
    refusal(await show.tenant.admin.post(show.path("/check-ins"), {"code": "tk1.forged.forged"}), 422)
    body = b'{"id": "evt_1", "payer": "zebedee-payer@example.com"}'
    badly = sign(body, secret="not the secret")
    refusal(await world.client.post(f"{API}/payments/webhooks/mock", content=body, headers=badly), 401)
    # The database refuses this order, with its whole row in the error: an unhandled 500.
    hold = await world.hold(eve, show, "Stalls-A-1")
    order = {"reservation_id": hold["id"], "buyer": {"email": eve.email, "name": UNLUCKY}}
    refusal(await eve.post("/orders", order), 500)
    order = {"reservation_id": hold["id"], "buyer": {"email": eve.email, "name": DOOMED}}
    payment = await world.payment(eve, data(await eve.post("/orders", order), 201))
    data(await world.webhook("payment.succeeded", payment))
    return [eve.email, wrong["password"], forged, "tk1.forged.forged", "not the secret"]
