"""Creates the demo: two organizations with a theatre, an arena and an open-air site.

It uses only the public API, never the database, so that it cannot contain anything that a customer could not create.
"""

import json
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any
from uuid import UUID, uuid4

import httpx2

from ticketing.infra.config import get_settings
from ticketing.modules import iam, organizations

PASSWORD = "demo-password"  # noqa: S105 (public: printed by `ticketing seed`)
THEATRE_PRICES = {
    "Premium": 8500,
    "Standard": 5500,
    "Value": 3500,
    "Restricted view": 2000,
    "Accessible": 3500,
    "Box": 11000,
}
ARENA_PRICES = {"Lower bowl": 9500, "Upper bowl": 6000}
HELD_SECONDS = 900
PARALLEL_BUYERS = 4


@dataclass(frozen=True)
class DemoAccount:
    """An account that visitors of the demo can log in to."""

    role: str
    email: str
    password: str = PASSWORD


ACCOUNTS = (
    DemoAccount("organizer, Grand Theatre", "organizer@theatre.example.com"),
    DemoAccount("door staff, Grand Theatre", "door@theatre.example.com"),
    DemoAccount("organizer, Harbour Live", "organizer@harbour.example.com"),
    DemoAccount("buyer", "ada@example.com"),
    DemoAccount("buyer", "grace@example.com"),
)


class ApiUser:
    """Registers or logs in to an account, and sends requests with its access token."""

    def __init__(self, client: httpx2.Client, email: str, name: str) -> None:
        self.client, self.email, self.name = client, email, name
        body = {"email": email, "password": PASSWORD}
        response = client.post("/api/v1/auth/register", json={**body, "display_name": name})
        self.is_new = response.status_code == 201
        if not self.is_new:
            response = client.post("/api/v1/auth/login", json=body)
        self.headers = {"Authorization": f"Bearer {data(response)['access_token']}"}

    def post(self, path: str, body: Any = None, **options: Any) -> Any:
        headers = {**self.headers, "Idempotency-Key": uuid4().hex}
        return data(self.client.post(f"/api/v1{path}", json=body, headers=headers, **options))


def data(response: httpx2.Response) -> Any:
    """The `data` of a successful response. Raises RuntimeError with the response's text otherwise."""
    if response.is_success:
        return response.json()["data"]
    request = response.request
    raise RuntimeError(f"{request.method} {request.url.path}: {response.status_code} {response.text[:500]}")


def seed(base_url: str) -> tuple[DemoAccount, ...]:
    """Create the demo on a running server unless it exists, and return its accounts.

    Raises:
        RuntimeError: the server refused a request.
        httpx2.HTTPError: the server does not answer.
    """
    with httpx2.Client(base_url=base_url, timeout=60) as client:
        users = {account.email: ApiUser(client, account.email, _name(account.email)) for account in ACCOUNTS}
        if not users["organizer@theatre.example.com"].is_new:
            return ACCOUNTS
        buyers = [users["ada@example.com"], users["grace@example.com"]]
        theatre = _create_theatre(users["organizer@theatre.example.com"], users["door@theatre.example.com"])
        arena, quay = _create_harbour(users["organizer@harbour.example.com"])
        _sell_seats(buyers, theatre, orders=16, holds=8)
        _sell_seats(buyers, arena, orders=10, holds=6)
        _sell_places(buyers, quay)
    return ACCOUNTS


def _name(email: str) -> str:
    return email.partition("@")[0].title()


def _create_theatre(organizer: ApiUser, door: ApiUser) -> str:
    org = organizer.post("/orgs", {"name": "Grand Theatre", "slug": "grand-theatre"})["id"]
    invitation = organizer.post(f"/orgs/{org}/invitations", {"email": door.email, "role": "ORG_SCANNER"})
    # The link of the email, which goes to no mailbox. Where JWT_SECRET is not the server's, the invitation stays open.
    if get_settings().jwt_secret.get_secret_value():
        token = iam.write_token(UUID(invitation["id"]), organizations.INVITATION_PURPOSE)
        with suppress(RuntimeError):
            door.post(f"/invitations/{token}/accept")
    place = {"format": "pretix", "city": "Utrecht", "country": "NL", "timezone": "Europe/Amsterdam"}
    venue = organizer.post(f"/orgs/{org}/venues/import", _plan("theatre"), params=place)["id"]
    about = "Shakespeare's late romance in a new staging, with live music. Two and a half hours, one interval."
    first = _create_event(organizer, org, "The Winter's Tale", venue, days=14, hour=19, description=about)
    _publish(organizer, org, first, THEATRE_PRICES)
    second = _create_event(organizer, org, "The Winter's Tale: matinee", venue, days=15, hour=14, description=about)
    _publish(organizer, org, second, {name: price * 3 // 4 for name, price in THEATRE_PRICES.items()})
    return first


def _create_harbour(organizer: ApiUser) -> tuple[str, str]:
    org = organizer.post("/orgs", {"name": "Harbour Live", "slug": "harbour-live"})["id"]
    place = {"format": "pretix", "city": "Rotterdam", "country": "NL", "timezone": "Europe/Amsterdam"}
    venue = organizer.post(f"/orgs/{org}/venues/import", _plan("arena"), params=place)["id"]
    arena = _create_event(organizer, org, "Northern Lights: the reunion", venue, days=45, hour=20)
    standing = {"name": "Standing floor", "price": 8000, "capacity": 2500}
    organizer.post(f"/orgs/{org}/events/{arena}/ticket-types", standing)
    _publish(organizer, org, arena, ARENA_PRICES)
    quay = _create_event(organizer, org, "Open air on the quay", None, timezone=place["timezone"], days=30, hour=17)
    for name, price, capacity in (("Day ticket", 2900, 800), ("Friend of the harbour", 0, 50)):
        body = {"name": name, "price": price, "capacity": capacity}
        organizer.post(f"/orgs/{org}/events/{quay}/ticket-types", body)
    organizer.post(f"/orgs/{org}/events/{quay}/publish")
    return arena, quay


def _plan(name: str) -> Any:
    return json.loads((files("ticketing") / "demo" / f"{name}.json").read_text())


def _create_event(
    organizer: ApiUser, org: str, title: str, venue: str | None, *, days: int, hour: int, **more: Any
) -> str:
    starts = (datetime.now(UTC) + timedelta(days=days)).replace(hour=hour, minute=30, second=0, microsecond=0)
    body = {
        "title": title,
        "venue_id": venue,
        "starts_at": starts.isoformat(),
        "ends_at": (starts + timedelta(hours=3)).isoformat(),
        "currency": "EUR",
        "hold_seconds": HELD_SECONDS,
        **more,
    }
    return str(organizer.post(f"/orgs/{org}/events", body)["id"])


def _publish(organizer: ApiUser, org: str, event: str, prices: dict[str, int]) -> None:
    for name, price in prices.items():
        body = {"name": name, "price": price, "categories": [name]}
        organizer.post(f"/orgs/{org}/events/{event}/ticket-types", body)
    organizer.post(f"/orgs/{org}/events/{event}/seats/sync")
    organizer.post(f"/orgs/{org}/events/{event}/publish")


def _sell_seats(buyers: list[ApiUser], event: str, orders: int, holds: int) -> None:
    """Sell and hold some seats, the same ones every time, with a few requests in parallel."""
    rng = random.Random("demo")
    seats = data(buyers[0].client.get(f"/api/v1/events/{event}/seatmap"))["seats"]
    rows: dict[tuple[str, str], list[str]] = {}
    for seat in seats:
        rows.setdefault((seat["section"], seat["row"]), []).append(seat["label"])
    choices = []
    for row in rng.sample(list(rows.values()), min(len(rows), orders + holds)):
        first = rng.randrange(max(1, len(row) - 4))
        choices.append(row[first : first + rng.randint(2, 4)])

    def buy(n: int) -> None:
        buyer = buyers[n % len(buyers)]
        held = buyer.post("/reservations", {"event_id": event, "seats": choices[n]})
        if n < orders:
            _pay(buyer, held["id"])

    with ThreadPoolExecutor(PARALLEL_BUYERS) as pool:
        list(pool.map(buy, range(len(choices))))


def _sell_places(buyers: list[ApiUser], event: str) -> None:
    types = data(buyers[0].client.get(f"/api/v1/events/{event}"))["ticket_types"]
    for buyer, ticket_type in zip(buyers, types, strict=False):
        items = [{"ticket_type_id": ticket_type["id"], "quantity": 4}]
        _pay(buyer, buyer.post("/reservations", {"event_id": event, "items": items})["id"])


def _pay(buyer: ApiUser, reservation: str) -> None:
    """Order the held seats, and pay on the mock provider's page unless the order is free."""
    contact = {"email": buyer.email, "name": buyer.name}
    order = buyer.post("/orders", {"reservation_id": reservation, "buyer": contact})
    if order["status"] == "pending":
        payment = buyer.post("/payments", {"order_id": order["id"], "provider": "mock"})
        page = buyer.client.post(payment["checkout_url"], data={"action": "pay"})
        if page.is_error:
            raise RuntimeError(f"the mock provider returned {page.status_code}: {page.text[:300]}")
