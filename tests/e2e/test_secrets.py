"""Secrets and personal data never reach a log of any process, whatever request fails."""

import base64
import re
from pathlib import Path
from uuid import uuid4

import httpx2

from tests.support.platform import opened, tickets_of
from tests.support.world import API, World, data
from ticketing.infra.system.ports import free_port

JWT_SECRET = "recognise-me-jwt-4f8b1c7e9a2d5063-the-rest"
SIGNING_SEED = b"recognise-me-seed-4f8b1c7e9a2d50"
PASSWORD = "recognise me password 4f8b1c"


async def _provoke(client: httpx2.AsyncClient, world: World) -> list[str]:
    """Make a purchase and provoke every kind of refusal. Return the strings that must not be logged."""
    show = await world.show(rows=1, seats=4)
    buyer = await world.person("recognise-me-buyer")
    order = await world.buy(buyer, show, show.labels[0])
    [ticket] = await tickets_of(buyer, order, 1)
    key = data(await show.tenant.admin.post(show.tenant.path("/api-keys"), {"name": "k", "role": "ORG_STAFF"}), 201)
    email = f"recognise-me-{uuid4().hex}@example.com"
    body = {"email": email, "password": PASSWORD}
    await client.post(f"{API}/auth/register", json=body)
    for wrong in ({**body, "password": f"{PASSWORD} not"}, {**body, "extra": PASSWORD}, [PASSWORD]):
        await client.post(f"{API}/auth/login", json=wrong)
    await client.post(f"{API}/auth/login", content=f'{{"password": "{PASSWORD}"'.encode())
    await client.post(f"{API}/auth/refresh", json={"refresh_token": f"{buyer.refresh_token}x"})
    for credentials in (f"Bearer {buyer.token}x", f"ApiKey {key['key']}x", f"ApiKey {key['key']}"):
        for path in ("/me", f"/orgs/{uuid4()}/orders", f"/orders/by-reference/{order['reference']}?email={email}"):
            await client.get(f"{API}{path}", headers={"Authorization": credentials})
    await client.get(f"{API}/events?q={PASSWORD}&cursor={buyer.token}")
    await client.get(f"/o/{order['reference']}?email={email}&token={buyer.token}")
    signed = {"Mock-Signature": f"t=1,v1={'a' * 64}"}
    await client.post(f"{API}/payments/webhooks/mock", content=ticket["code"].encode(), headers=signed)
    door = show.path("/check-ins")
    for code in (ticket["code"], ticket["code"], f"{ticket['code']}x"):
        await show.tenant.admin.post(door, {"code": code, "gate": "North"})
    return [email, buyer.email, buyer.token, buyer.refresh_token, key["key"], ticket["code"]]


async def test_no_log_contains_a_secret(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    seed = base64.b64encode(SIGNING_SEED).decode()
    # Without SMTP_URL, emails would be printed to the log, where developers read them.
    away = {"SMTP_URL": f"smtp://127.0.0.1:{free_port()}", "MAIL_FROM": "box-office@example.com"}
    with opened(folder, JWT_SECRET=JWT_SECRET, TICKET_SIGNING_KEY=seed, LOG_LEVEL="debug", **away) as platform:
        async with httpx2.AsyncClient(base_url=platform.url, timeout=30) as client:
            personal = await _provoke(client, World(client))
        password = (folder / "postgres" / "password").read_text().strip()
    logs = {path.name: path.read_text() for path in (folder / "logs").iterdir()}
    logs["up"] = folder.with_suffix(".out").read_text()
    assert {"api-1.log", "consumers.log", "scheduler.log"} <= logs.keys()
    assert sum(len(re.findall("correlation_id", text)) for text in logs.values()) > 20
    for name, text in logs.items():
        for secret in (JWT_SECRET, seed, SIGNING_SEED.decode(), PASSWORD, password, "whsec for tests", *personal):
            assert secret not in text, f"{name} contains {secret}"
