"""Requests in good form that ask for what can't be: the code and the field say what, and nothing has changed."""

from dataclasses import dataclass, replace
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from tests.support.world import refusal
from tests.sweeps.calls import organization, sale  # noqa: F401 (they register the examples)
from tests.sweeps.calls.call import Call, examples_of, make, send
from tests.sweeps.database_state import changed_tables, read_state
from tests.sweeps.full_tenant import Stage

UNKNOWN = "00000000-0000-7000-8000-000000000000"
VENUES, EVENTS, EVENT = "POST /orgs/{org_id}/venues", "POST /orgs/{org_id}/events", "/orgs/{org_id}/events/{event_id}"
TYPES, DOOR = f"POST {EVENT}/ticket-types", f"POST {EVENT}/check-ins"
WEBHOOKS = "POST /orgs/{org_id}/webhooks"
HOLD, REFUND, MEMBERS = "POST /reservations", "POST /orders/{order_id}/refunds", "POST /orgs/{org_id}/members"


@dataclass(frozen=True)
class Wish:
    """A good request with these changes, and what it is told."""

    route: str
    changes: dict[str, Any]
    status: int
    code: str
    field: str | None

    def __str__(self) -> str:
        return f"{self.route} {self.changes!r:.60}"


def _section(name: str, *rows: tuple[str, int]) -> dict[str, Any]:
    return {"name": name, "category": name, "rows": [{"name": row, "seats": seats} for row, seats in rows]}


ENORMOUS = [_section(f"S{n}", *[(f"R{m}", 1000) for m in range(500)]) for n in range(20)]

WISHES = (
    Wish(HOLD, {"seats": ["Nowhere-A-1"]}, 422, "seat_unknown", "seats"),
    Wish(HOLD, {"seats": ["Stalls-A-1", "Stalls-A-1"]}, 422, "invalid", "seats"),
    Wish(HOLD, {"seats": [], "items": []}, 422, "invalid", "body"),
    Wish(HOLD, {"best_available": {"quantity": 2}}, 422, "invalid", "body"),
    Wish(HOLD, {"seats": [], "items": [{"ticket_type_id": UNKNOWN, "quantity": 1}]}, 422, "invalid", "items"),
    Wish(HOLD, {"seats": [f"Stalls-A-{n}" for n in range(1, 12)]}, 422, "limit_exceeded", "seats"),
    Wish(HOLD, {"event_id": UNKNOWN}, 404, "not_found", None),
    Wish("POST /orders", {"promo_code": "HALF"}, 422, "invalid", "promo_code"),
    Wish("POST /orders", {"reservation_id": UNKNOWN}, 404, "not_found", None),
    Wish("POST /payments", {"order_id": UNKNOWN}, 404, "not_found", None),
    Wish("POST /payments", {"provider": "stripe"}, 422, "invalid", "provider"),
    Wish("POST /payments", {"provider": "paypal"}, 422, "invalid", "provider"),
    Wish(REFUND, {"amount": 10**9}, 422, "invalid", "amount"),
    Wish(REFUND, {"amount": 10**9, "ticket_ids": None}, 409, "refund_too_large", "amount"),
    Wish(REFUND, {"amount": 0, "ticket_ids": None}, 422, "invalid", "amount"),
    Wish(REFUND, {"ticket_ids": [UNKNOWN]}, 422, "invalid", "ticket_ids"),
    Wish(REFUND, {"ticket_ids": [UNKNOWN, UNKNOWN]}, 422, "invalid", "ticket_ids"),
    Wish(EVENTS, {"venue_id": UNKNOWN}, 422, "invalid", "venue_id"),
    Wish(EVENTS, {"currency": "ABC"}, 422, "invalid", "currency"),
    Wish(EVENTS, {"currency": "eur"}, 422, "invalid", "currency"),
    Wish(EVENTS, {"ends_at": "2030-06-01T18:00:00Z"}, 422, "invalid", "ends_at"),
    Wish(EVENTS, {"ends_at": "2030-06-01T19:00:00Z"}, 422, "invalid", "ends_at"),
    Wish(EVENTS, {"sales_end_at": "2020-01-01T00:00:00Z"}, 422, "invalid", "sales_end_at"),
    Wish(EVENTS, {"title": " \t "}, 422, "invalid", "title"),
    Wish(EVENTS, {"title": "two\nlines"}, 422, "invalid", "title"),
    Wish(f"PATCH {EVENT}", {"title": None}, 422, "invalid", "title"),
    Wish(f"PATCH {EVENT}", {"hold_seconds": None}, 422, "invalid", "hold_seconds"),
    Wish(f"PATCH {EVENT}", {"status": "published"}, 422, "invalid", "status"),
    Wish(f"PATCH {EVENT}", {"venue_id": UNKNOWN}, 422, "invalid", "venue_id"),
    Wish(TYPES, {"capacity": 5}, 422, "invalid", "capacity"),
    Wish(TYPES, {"categories": None}, 422, "invalid", "capacity"),
    Wish(TYPES, {"categories": ["Balcony"]}, 422, "invalid", "categories"),
    Wish(f"POST {EVENT}/seats/block", {"seats": ["Nowhere-A-1"]}, 422, "seat_unknown", "seats"),
    Wish(f"POST {EVENT}/seats/block", {"seats": ["Stalls-A-1", "Stalls-A-1"]}, 422, "invalid", "seats"),
    Wish(f"POST {EVENT}/seats/unblock", {"seats": ["Stalls-A-1"]}, 409, "seat_not_blocked", "seats"),
    Wish(VENUES, {"timezone": "Europe/Atlantis"}, 422, "invalid", "timezone"),
    Wish(VENUES, {"country": "nl"}, 422, "invalid", "country"),
    Wish(VENUES, {"sections": [_section("S", ("A", 1), ("A", 1))]}, 422, "invalid", "sections.0.rows.1.name"),
    Wish(VENUES, {"sections": [_section("S", ("A", 1)), _section("S", ("B", 1))]}, 422, "invalid", "sections.1.name"),
    Wish(VENUES, {"sections": ENORMOUS}, 422, "invalid", "sections"),
    Wish(MEMBERS, {"email": "nobody@example.com"}, 422, "invalid", "email"),
    Wish(MEMBERS, {"role": "SUPER_ADMIN"}, 422, "invalid", "role"),
    Wish("PATCH /orgs/{org_id}/members/{user_id}", {"role": "OWNER"}, 422, "invalid", "role"),
    Wish("POST /orgs/{org_id}/api-keys", {"role": "SUPPORT"}, 422, "invalid", "role"),
    Wish(WEBHOOKS, {"url": "http://localhost/hooks"}, 422, "invalid", "url"),
    Wish(WEBHOOKS, {"url": "https://169.254.169.254/latest/meta-data/"}, 422, "invalid", "url"),
    Wish(WEBHOOKS, {"url": "https://user:password@example.com/"}, 422, "invalid", "url"),
    Wish(WEBHOOKS, {"url": "ftp://example.com/"}, 422, "invalid", "url"),
    Wish(WEBHOOKS, {"types": ["nothing.happened"]}, 422, "invalid", "types"),
    Wish("PATCH /orgs/{org_id}/webhooks/{webhook_id}", {"url": "https://[::1]/"}, 422, "invalid", "url"),
    Wish("PATCH /orgs/{org_id}/webhooks/{webhook_id}", {"url": None}, 422, "invalid", "url"),
    Wish("POST /orgs", {"slug": "Not a slug"}, 422, "invalid", "slug"),
    Wish("POST /auth/register", {"password": "short"}, 422, "invalid", "password"),
    Wish("POST /tickets/{ticket_id}/transfer", {"email": "nobody@example.com"}, 422, "invalid", "email"),
    Wish(DOOR, {"code": "T1.nonsense"}, 422, "invalid_code", "code"),
    Wish(DOOR, {"scanned_at": "2030-01-01T00:00:00"}, 422, "invalid", "scanned_at"),
)


@pytest.mark.parametrize("wish", WISHES, ids=str)
async def test_what_cannot_be_is_refused_by_name(
    app: FastAPI, client: httpx2.AsyncClient, stage: Stage, wish: Wish
) -> None:
    call = await make(next(examples_of(wish.route)), stage)
    before = await read_state(app)
    error = refusal(await send(client, _changed(call, wish.changes)), wish.status)
    assert (error["code"], _outermost(error, wish)) == (wish.code, wish.field)
    assert changed_tables(before, await read_state(app)) == []
    assert (await send(client, call)).is_success, "without a mistake it would have been done"


def _changed(call: Call, changes: dict[str, Any]) -> Call:
    return replace(call, body={**call.body, **changes})


def _outermost(error: dict[str, Any], wish: Wish) -> str | None:
    field: str | None = error.get("field")
    is_inside = field is not None and wish.field is not None and field.startswith(f"{wish.field}.")
    return wish.field if is_inside else field
