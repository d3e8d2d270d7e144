"""Builders of people, organizations, venues, events and purchases, all through the public API."""

import hashlib
import hmac
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx2
import orjson

from ticketing.modules import iam, organizations

API = "/api/v1"
PASSWORD = "correct horse battery"
WEBHOOK_SECRET = "whsec for tests"


def data(response: httpx2.Response, status: int = 200) -> Any:
    """The data of a successful response; the assertion shows any other response."""
    assert response.status_code == status, f"{response.request.url}: {response.status_code} {response.text[:2000]}"
    body = response.json()
    assert body["success"] is True
    return body["data"]


def refusal(response: httpx2.Response, status: int) -> dict[str, Any]:
    """The first error of a refused request; the assertion shows any other response."""
    assert response.status_code == status, f"{response.request.url}: {response.status_code} {response.text[:2000]}"
    body = response.json()
    assert body["success"] is False
    assert body["meta"]["correlation_id"] == response.headers["X-Correlation-ID"]
    error: dict[str, Any] = body["errors"][0]
    return error


def invitation_token(invitation_id: str) -> str:
    """The token of the emailed link, by the secret that tests share with the platform."""
    return iam.write_token(UUID(invitation_id), organizations.INVITATION_PURPOSE)


@dataclass
class Person:
    """A user with an account, and requests in their name."""

    client: httpx2.AsyncClient
    id: str
    email: str
    token: str
    refresh_token: str

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        return await self.request("GET", path, **options)

    async def post(self, path: str, json: Any = None, *, key: str | None = None, **options: Any) -> httpx2.Response:
        headers = {"Idempotency-Key": key or uuid4().hex, **options.pop("headers", {})}
        return await self.request("POST", path, json=json, headers=headers, **options)

    async def patch(self, path: str, json: Any = None) -> httpx2.Response:
        return await self.request("PATCH", path, json=json)

    async def delete(self, path: str) -> httpx2.Response:
        return await self.request("DELETE", path)

    async def request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        return await self.client.request(method, f"{API}{path}", headers=headers, **options)


@dataclass
class Tenant:
    """An organization and its first admin."""

    id: str
    slug: str
    admin: Person

    def path(self, rest: str = "") -> str:
        return f"/orgs/{self.id}{rest}"


@dataclass
class Show:
    """A published event with one section of seats, "Stalls", and optionally general admission."""

    tenant: Tenant
    id: str
    venue_id: str
    seat_type_id: str | None
    area_type_id: str | None
    labels: list[str] = field(default_factory=list)

    def path(self, rest: str = "") -> str:
        return self.tenant.path(f"/events/{self.id}{rest}")


class World:
    """Creates people, tenants and shows."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client

    async def person(self, name: str = "person") -> Person:
        email = f"{name}-{uuid4().hex[:12]}@example.com"
        body = {"email": email, "password": PASSWORD, "display_name": name.title()}
        answer = data(await self.client.post(f"{API}/auth/register", json=body), 201)
        return Person(self.client, answer["user"]["id"], email, answer["access_token"], answer["refresh_token"])

    async def tenant(self, name: str = "tenant") -> Tenant:
        admin = await self.person(f"{name}-admin")
        slug = f"{name}-{uuid4().hex[:12]}"
        answer = data(await admin.post("/orgs", {"name": name.title(), "slug": slug}), 201)
        return Tenant(answer["id"], slug, admin)

    async def member(self, tenant: Tenant, role: str) -> Person:
        person = await self.person(role.lower().replace("_", "-"))
        await self.join(tenant, person, role)
        return person

    async def join(self, tenant: Tenant, person: Person, role: str) -> None:
        """Invite a person, who accepts with the link of the email."""
        body = {"email": person.email, "role": role}
        invitation = data(await tenant.admin.post(tenant.path("/invitations"), body), 201)
        data(await person.post(f"/invitations/{invitation_token(invitation['id'])}/accept"))

    async def venue(self, tenant: Tenant, rows: int = 2, seats: int = 10) -> dict[str, Any]:
        names = [chr(ord("A") + n) for n in range(rows)]
        section = {"name": "Stalls", "category": "Stalls", "rows": [{"name": n, "seats": seats} for n in names]}
        body = {
            "name": "Hall",
            "city": "Utrecht",
            "country": "NL",
            "timezone": "Europe/Amsterdam",
            "sections": [section],
        }
        answer: dict[str, Any] = data(await tenant.admin.post(tenant.path("/venues"), body), 201)
        return answer

    async def show(
        self,
        tenant: Tenant | None = None,
        *,
        rows: int = 2,
        seats: int = 10,
        price: int = 4500,
        capacity: int | None = None,
        area_price: int = 2500,
        publish: bool = True,
        **event: Any,
    ) -> Show:
        """A published event. `capacity` adds a general-admission type; `seats=0` leaves the seats out."""
        tenant = tenant or await self.tenant()
        admin = tenant.admin
        venue = await self.venue(tenant, rows, seats) if seats else {"id": None}
        body = {
            "title": "Show",
            "starts_at": "2030-06-01T19:00:00Z",
            "currency": "EUR",
            "venue_id": venue["id"],
            **event,
        }
        if body["venue_id"] is None:
            body.setdefault("timezone", "UTC")
        created = data(await admin.post(tenant.path("/events"), body), 201)
        show = Show(tenant, created["id"], venue["id"], None, None)
        if seats:
            priced = {"name": "Seat", "price": price, "categories": ["Stalls"]}
            show.seat_type_id = data(await admin.post(show.path("/ticket-types"), priced), 201)["id"]
            data(await admin.post(show.path("/seats/sync")))
            show.labels = [f"Stalls-{chr(65 + r)}-{n}" for r in range(rows) for n in range(1, seats + 1)]
        if capacity is not None:
            standing = {"name": "Standing", "price": area_price, "capacity": capacity}
            show.area_type_id = data(await admin.post(show.path("/ticket-types"), standing), 201)["id"]
        if publish:
            data(await admin.post(show.path("/publish")))
        return show

    async def hold(self, buyer: Person, show: Show, *seats: str, **body: Any) -> dict[str, Any]:
        wanted = {"event_id": show.id, **({"seats": list(seats)} if seats else {}), **body}
        answer: dict[str, Any] = data(await buyer.post("/reservations", wanted), 201)
        return answer

    async def order(self, buyer: Person, reservation: dict[str, Any]) -> dict[str, Any]:
        body = {"reservation_id": reservation["id"], "buyer": {"email": buyer.email, "name": "Ada Byron"}}
        answer: dict[str, Any] = data(await buyer.post("/orders", body), 201)
        return answer

    async def payment(self, buyer: Person, order: dict[str, Any]) -> dict[str, Any]:
        body = {"order_id": order["id"], "provider": "mock"}
        answer: dict[str, Any] = data(await buyer.post("/payments", body), 201)
        return answer

    async def buy(self, buyer: Person, show: Show, *seats: str, **body: Any) -> dict[str, Any]:
        """Hold, order, pay and confirm the payment; returns the order. The consumers issue the tickets later."""
        order = await self.order(buyer, await self.hold(buyer, show, *seats, **body))
        payment = await self.payment(buyer, order)
        data(await self.webhook("payment.succeeded", payment))
        answer: dict[str, Any] = data(await buyer.get(f"/orders/{order['id']}"))
        return answer

    async def webhook(self, kind: str, payment: dict[str, Any], **changes: Any) -> httpx2.Response:
        """Send the mock provider's signed webhook about a payment."""
        body = {
            "id": f"evt_{uuid4().hex}",
            "type": kind,
            "provider_ref": payment["provider_ref"],
            "amount": payment["amount"]["amount"],
            "currency": payment["amount"]["currency"],
            **changes,
        }
        raw = orjson.dumps(body)
        return await self.client.post(f"{API}/payments/webhooks/mock", content=raw, headers=sign(raw))


def sign(raw: bytes, secret: str = WEBHOOK_SECRET, at: int | None = None) -> dict[str, str]:
    """The mock provider's signature header."""
    seconds = int(time.time()) if at is None else at
    digest = hmac.new(secret.encode(), f"{seconds}.".encode() + raw, hashlib.sha256).hexdigest()
    return {"Mock-Signature": f"t={seconds},v1={digest}", "Content-Type": "application/json"}
