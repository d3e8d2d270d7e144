"""Buyers, events with available seats, and requests as bytes. Accounts and events are created in SQL."""

import json
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx2
import psycopg

from benchmarks.testbed.organizer import Organizer
from benchmarks.testbed.testbed import Testbed
from ticketing.infra.config import get_settings
from ticketing.infra.db import new_id
from ticketing.infra.security.access_tokens import issue_token

#: Enough that no buyer reaches a rate limit. A process caches the tokens of twice as many.
BUYERS = 10_000
#: Events with fewer seats are created by the hundred, and analyzed together afterwards.
ANALYZED_FROM = 12_000
HOLD, NO_OP = "/api/v1/reservations", "/api/v1/reservations/no-op"


@dataclass(frozen=True, slots=True)
class Owner:
    """The organization of an event, and the ticket type of its seats."""

    organization: UUID
    ticket_type: UUID


@dataclass(frozen=True, slots=True)
class Show:
    """A published event. Its seats have prices, and are all available."""

    id: UUID
    seats: int

    @property
    def labels(self) -> list[str]:
        return [label_of(number) for number in range(self.seats)]


def label_of(number: int) -> str:
    """The label of a seat, as in `Organizer.venue`: sections of 40 rows, rows of 100 seats."""
    return f"S{number // 4000 * 40}-{number // 100 + 1}-{number % 100 + 1}"


class Workload:
    """The buyers and requests for one testbed. Random choices are the same in every run."""

    def __init__(self, testbed: Testbed, buyers: int = BUYERS) -> None:
        self.testbed, self.random = testbed, random.Random(testbed.owner_url.rpartition("/")[2])
        self.database: psycopg.Connection[Any] = psycopg.connect(testbed.owner_url, autocommit=True)
        # Tokens are signed here, as the API process of this testbed signs them.
        os.environ.update({name: testbed.environment[name] for name in ("JWT_SECRET", "ACCESS_TOKEN_SECONDS")})
        get_settings.cache_clear()
        self.buyer_ids = [new_id() for _ in range(buyers)]
        self.database.execute(_USERS, [self.buyer_ids])
        self.buyers = [_headers(number, user) for number, user in enumerate(self.buyer_ids)]
        with httpx2.Client(base_url=f"{testbed.url}/api/v1", timeout=120) as client:
            self.template = UUID(Organizer(client).show(1))

    def show(self, seats: int, copy_of: UUID | None = None) -> Show:
        """Create a copy of the template, or of another event, with this number of seats in rows of 100."""
        event, template = new_id(), copy_of or self.template
        with self.database.transaction():
            self.database.execute(_COPY_EVENT, {"event": str(event), "template": template})
            self.database.execute(_COPY_PRICES, {"event": event, "template": template, "type": new_id()})
            self.database.execute(_SEATS, {"event": event, "seats": seats})
        if seats >= ANALYZED_FROM:
            self.database.execute("analyze event_seats")
        return Show(event, seats)

    def owner_of(self, show: Show) -> Owner:
        found = self.database.execute("select organization_id, id from ticket_types where event_id = %s", [show.id])
        return Owner(*found.fetchall()[0])

    def requests(self, show: Show, path: str = HOLD, seats: Sequence[str] | None = None) -> Iterator[tuple[bytes]]:
        """One request for each seat, in random order, each by the next buyer with a new idempotency key."""
        labels = list(show.labels if seats is None else seats)
        self.random.shuffle(labels)
        for number, label in enumerate(labels):
            yield (self.request(number, path, {"event_id": str(show.id), "seats": [label]}),)

    def request(self, number: int, path: str, body: dict[str, Any]) -> bytes:
        """The bytes of a POST by one of the buyers."""
        raw = write_json(body)
        headers = self.buyers[number % len(self.buyers)]
        return (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}Idempotency-Key: {uuid4()}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n{raw}"
        ).encode()


def write_json(body: Mapping[str, Any]) -> str:
    """Compact JSON. The placeholders of the load generator (see load_fill.h) stay control characters."""
    return json.dumps(body, separators=(",", ":")).replace("\\u0001", "\1")


def _headers(number: int, user: UUID) -> str:
    """The headers with a valid token and a separate IP address for each buyer."""
    token = issue_token(user, new_id())
    address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
    return f"Authorization: Bearer {token}\r\nX-Forwarded-For: {address}\r\n"


_USERS = """
insert into users (id, email, email_normalized, password_hash)
select id, 'buyer-' || n || '@example.com', 'buyer-' || n || '@example.com', '!'
  from unnest(%s::uuid[]) with ordinality as u (id, n)"""

_COPY_EVENT = """
insert into events
select (jsonb_populate_record(e, jsonb_build_object('id', %(event)s::text))).* from events e where id = %(template)s"""

_COPY_PRICES = """
with types as (
    insert into ticket_types
    select (jsonb_populate_record(t, jsonb_build_object('id', %(type)s::text, 'event_id', %(event)s::text))).*
      from ticket_types t where event_id = %(template)s
    returning id)
insert into category_prices
select (jsonb_populate_record(c, jsonb_build_object('ticket_type_id', %(type)s::text, 'event_id', %(event)s::text))).*
  from category_prices c where event_id = %(template)s and exists (select from types)"""

#: The labels match `label_of`.
_SEATS = """
insert into event_seats (organization_id, event_id, number, label, category)
select e.organization_id, e.id, n, format('S%%s-%%s-%%s', n / 4000 * 40, n / 100 + 1, n %% 100 + 1), 'Any'
  from events e, generate_series(0, %(seats)s - 1) n where e.id = %(event)s"""
