"""The demo: two organizations, a theatre, an arena and a quay, built through the public API only.

What can't be built this way can't be built by a customer either, so nothing here touches the database.
"""

import json
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any
from uuid import uuid4

import httpx2

PASSWORD = "demo-password"  # noqa: S105 (printed for everybody to see)
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
BUYERS_AT_ONCE = 4


@dataclass(frozen=True)
class Login:
    """Somebody whom a visitor can be."""

    role: str
    email: str
    password: str = PASSWORD


LOGINS = (
    Login("organizer, Grand Theatre", "organizer@theatre.example.com"),
    Login("door staff, Grand Theatre", "door@theatre.example.com"),
    Login("organizer, Harbour Live", "organizer@harbour.example.com"),
    Login("buyer", "ada@example.com"),
    Login("buyer", "grace@example.com"),
)


class Person:
    """Somebody who speaks to the API under their own name."""

    def __init__(self, client: httpx2.Client, email: str, name: str) -> None:
        self.client, self.email, self.name = client, email, name
        body = {"email": email, "password": PASSWORD}
        answer = client.post("/api/v1/auth/register", json={**body, "display_name": name})
        self.is_new = answer.status_code == 201
        if not self.is_new:
            answer = client.post("/api/v1/auth/login", json=body)
        self.headers = {"Authorization": f"Bearer {data(answer)['access_token']}"}

    def post(self, path: str, body: Any = None, **options: Any) -> Any:
        headers = {**self.headers, "Idempotency-Key": uuid4().hex}
        return data(self.client.post(f"/api/v1{path}", json=body, headers=headers, **options))


def data(answer: httpx2.Response) -> Any:
    """What a successful answer holds. Raises RuntimeError with the server's words otherwise."""
    if answer.is_success:
        return answer.json()["data"]
    raise RuntimeError(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:500]}")


def seed(base_url: str) -> tuple[Login, ...]:
    """Build the demo at a running server, unless it is there already; answers who a visitor can log in as.

    Raises:
        RuntimeError: the server refused something.
        httpx2.HTTPError: the server does not answer.
    """
    with httpx2.Client(base_url=base_url, timeout=60) as client:
        people = {login.email: Person(client, login.email, _name(login.email)) for login in LOGINS}
        if not people["organizer@theatre.example.com"].is_new:
            return LOGINS
        buyers = [people["ada@example.com"], people["grace@example.com"]]
        theatre = _theatre(people["organizer@theatre.example.com"])
        arena, quay = _harbour(people["organizer@harbour.example.com"])
        _crowd(buyers, theatre, orders=16, holds=8)
        _crowd(buyers, arena, orders=10, holds=6)
        _stand(buyers, quay)
    return LOGINS


def _name(email: str) -> str:
    return email.partition("@")[0].title()


def _theatre(organizer: Person) -> str:
    org = organizer.post("/orgs", {"name": "Grand Theatre", "slug": "grand-theatre"})["id"]
    organizer.post(f"/orgs/{org}/members", {"email": "door@theatre.example.com", "role": "ORG_SCANNER"})
    place = {"format": "pretix", "city": "Utrecht", "country": "NL", "timezone": "Europe/Amsterdam"}
    venue = organizer.post(f"/orgs/{org}/venues/import", _plan("theatre"), params=place)["id"]
    about = "Shakespeare's late romance in a new staging, with live music. Two and a half hours, one interval."
    first = _event(organizer, org, "The Winter's Tale", venue, days=14, hour=19, description=about)
    _price(organizer, org, first, THEATRE_PRICES)
    second = _event(organizer, org, "The Winter's Tale: matinee", venue, days=15, hour=14, description=about)
    _price(organizer, org, second, {name: price * 3 // 4 for name, price in THEATRE_PRICES.items()})
    return first


def _harbour(organizer: Person) -> tuple[str, str]:
    org = organizer.post("/orgs", {"name": "Harbour Live", "slug": "harbour-live"})["id"]
    place = {"format": "pretix", "city": "Rotterdam", "country": "NL", "timezone": "Europe/Amsterdam"}
    venue = organizer.post(f"/orgs/{org}/venues/import", _plan("arena"), params=place)["id"]
    arena = _event(organizer, org, "Northern Lights: the reunion", venue, days=45, hour=20)
    standing = {"name": "Standing floor", "price": 8000, "capacity": 2500}
    organizer.post(f"/orgs/{org}/events/{arena}/ticket-types", standing)
    _price(organizer, org, arena, ARENA_PRICES)
    quay = _event(organizer, org, "Open air on the quay", None, days=30, hour=17)
    for name, price, capacity in (("Day ticket", 2900, 800), ("Friend of the harbour", 0, 50)):
        body = {"name": name, "price": price, "capacity": capacity}
        organizer.post(f"/orgs/{org}/events/{quay}/ticket-types", body)
    organizer.post(f"/orgs/{org}/events/{quay}/publish")
    return arena, quay


def _plan(name: str) -> Any:
    return json.loads((files("ticketing") / "demo" / f"{name}.json").read_text())


def _event(organizer: Person, org: str, title: str, venue: str | None, *, days: int, hour: int, **more: Any) -> str:
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


def _price(organizer: Person, org: str, event: str, prices: dict[str, int]) -> None:
    for name, price in prices.items():
        body = {"name": name, "price": price, "categories": [name]}
        organizer.post(f"/orgs/{org}/events/{event}/ticket-types", body)
    organizer.post(f"/orgs/{org}/events/{event}/seats/sync")
    organizer.post(f"/orgs/{org}/events/{event}/publish")


def _crowd(buyers: list[Person], event: str, orders: int, holds: int) -> None:
    """Some seats sold and some held, the same ones at every seeding, a few buyers at a time."""
    chance = random.Random("demo")
    seats = data(buyers[0].client.get(f"/api/v1/events/{event}/seats"))
    rows: dict[tuple[str, str], list[str]] = {}
    for seat in seats:
        rows.setdefault((seat["section"], seat["row"]), []).append(seat["label"])
    wishes = []
    for row in chance.sample(list(rows.values()), min(len(rows), orders + holds)):
        first = chance.randrange(max(1, len(row) - 4))
        wishes.append(row[first : first + chance.randint(2, 4)])

    def buy(n: int) -> None:
        buyer = buyers[n % len(buyers)]
        held = buyer.post("/reservations", {"event_id": event, "seats": wishes[n]})
        if n < orders:
            _pay(buyer, held["id"])

    with ThreadPoolExecutor(BUYERS_AT_ONCE) as crowd:
        list(crowd.map(buy, range(len(wishes))))


def _stand(buyers: list[Person], event: str) -> None:
    types = data(buyers[0].client.get(f"/api/v1/events/{event}"))["ticket_types"]
    for buyer, ticket_type in zip(buyers, types, strict=False):
        items = [{"ticket_type_id": ticket_type["id"], "quantity": 4}]
        _pay(buyer, buyer.post("/reservations", {"event_id": event, "items": items})["id"])


def _pay(buyer: Person, reservation: str) -> None:
    """Order what is held and press Pay on the mock provider's page, if there is anything to pay."""
    contact = {"email": buyer.email, "name": buyer.name}
    order = buyer.post("/orders", {"reservation_id": reservation, "buyer": contact})
    if order["status"] == "pending":
        payment = buyer.post("/payments", {"order_id": order["id"], "provider": "mock"})
        page = buyer.client.post(payment["checkout_url"], data={"action": "pay"})
        if page.is_error:
            raise RuntimeError(f"The mock provider answered {page.status_code}: {page.text[:300]}")
