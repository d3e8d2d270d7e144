"""Well-formed requests that cannot be fulfilled: code and field name the reason, and nothing changes."""

from dataclasses import dataclass, replace
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from tests.support.world import refusal
from tests.sweeps.calls import organization, sale  # noqa: F401 (imported to register the examples)
from tests.sweeps.calls.call import Call, build_call, examples_of, send
from tests.sweeps.database_state import changed_tables, read_state
from tests.sweeps.full_tenant import FullTenant

UNKNOWN = "00000000-0000-7000-8000-000000000000"
VENUES, EVENTS, EVENT = "POST /orgs/{org_id}/venues", "POST /orgs/{org_id}/events", "/orgs/{org_id}/events/{event_id}"
TYPES, DOOR = f"POST {EVENT}/ticket-types", f"POST {EVENT}/check-ins"
WEBHOOKS = "POST /orgs/{org_id}/webhooks"
HOLD, REFUND, MEMBERS = "POST /reservations", "POST /orders/{order_id}/refunds", "POST /orgs/{org_id}/members"


@dataclass(frozen=True)
class InvalidRequest:
    """A valid request with these changes, and the error that it gets."""

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

INVALID_REQUESTS = (
    InvalidRequest(HOLD, {"seats": ["Nowhere-A-1"]}, 422, "seat_unknown", "seats"),
    InvalidRequest(HOLD, {"seats": ["Stalls-A-1", "Stalls-A-1"]}, 422, "invalid", "seats"),
    InvalidRequest(HOLD, {"seats": [], "items": []}, 422, "invalid", "body"),
    InvalidRequest(HOLD, {"best_available": {"quantity": 10}}, 422, "limit_exceeded", "best_available"),
    InvalidRequest(HOLD, {"seats": [], "items": [{"ticket_type_id": UNKNOWN, "quantity": 1}]}, 422, "invalid", "items"),
    InvalidRequest(HOLD, {"seats": [f"Stalls-A-{n}" for n in range(1, 12)]}, 422, "limit_exceeded", "seats"),
    InvalidRequest(HOLD, {"event_id": UNKNOWN}, 404, "not_found", None),
    InvalidRequest("POST /orders", {"promo_code": "HALF"}, 422, "invalid", "promo_code"),
    InvalidRequest("POST /orders", {"reservation_id": UNKNOWN}, 404, "not_found", None),
    InvalidRequest("POST /checkout", {"reservation_id": UNKNOWN}, 404, "not_found", None),
    InvalidRequest("POST /checkout", {"provider": "stripe"}, 422, "invalid", "provider"),
    InvalidRequest("POST /payments", {"order_id": UNKNOWN}, 404, "not_found", None),
    InvalidRequest("POST /payments", {"provider": "stripe"}, 422, "invalid", "provider"),
    InvalidRequest("POST /payments", {"provider": "paypal"}, 422, "invalid", "provider"),
    InvalidRequest(REFUND, {"amount": 10**9}, 422, "invalid", "amount"),
    InvalidRequest(REFUND, {"amount": 10**9, "ticket_ids": None}, 409, "refund_too_large", "amount"),
    InvalidRequest(REFUND, {"amount": 0, "ticket_ids": None}, 422, "invalid", "amount"),
    InvalidRequest(REFUND, {"ticket_ids": [UNKNOWN]}, 422, "invalid", "ticket_ids"),
    InvalidRequest(REFUND, {"ticket_ids": [UNKNOWN, UNKNOWN]}, 422, "invalid", "ticket_ids"),
    InvalidRequest(EVENTS, {"venue_id": UNKNOWN}, 422, "invalid", "venue_id"),
    InvalidRequest(EVENTS, {"currency": "ABC"}, 422, "invalid", "currency"),
    InvalidRequest(EVENTS, {"currency": "eur"}, 422, "invalid", "currency"),
    InvalidRequest(EVENTS, {"ends_at": "2030-06-01T18:00:00Z"}, 422, "invalid", "ends_at"),
    InvalidRequest(EVENTS, {"ends_at": "2030-06-01T19:00:00Z"}, 422, "invalid", "ends_at"),
    InvalidRequest(EVENTS, {"sales_end_at": "2020-01-01T00:00:00Z"}, 422, "invalid", "sales_end_at"),
    InvalidRequest(EVENTS, {"title": " \t "}, 422, "invalid", "title"),
    InvalidRequest(EVENTS, {"title": "two\nlines"}, 422, "invalid", "title"),
    InvalidRequest(f"PATCH {EVENT}", {"title": None}, 422, "invalid", "title"),
    InvalidRequest(f"PATCH {EVENT}", {"hold_seconds": None}, 422, "invalid", "hold_seconds"),
    InvalidRequest(f"PATCH {EVENT}", {"status": "published"}, 422, "invalid", "status"),
    InvalidRequest(f"PATCH {EVENT}", {"venue_id": UNKNOWN}, 422, "invalid", "venue_id"),
    InvalidRequest(TYPES, {"capacity": 5}, 422, "invalid", "capacity"),
    InvalidRequest(TYPES, {"categories": None}, 422, "invalid", "capacity"),
    InvalidRequest(TYPES, {"categories": ["Balcony"]}, 422, "invalid", "categories"),
    InvalidRequest(f"POST {EVENT}/seats/block", {"seats": ["Nowhere-A-1"]}, 422, "seat_unknown", "seats"),
    InvalidRequest(f"POST {EVENT}/seats/block", {"seats": ["Stalls-A-1", "Stalls-A-1"]}, 422, "invalid", "seats"),
    InvalidRequest(f"POST {EVENT}/seats/unblock", {"seats": ["Stalls-A-1"]}, 409, "seat_not_blocked", "seats"),
    InvalidRequest(VENUES, {"timezone": "Europe/Atlantis"}, 422, "invalid", "timezone"),
    InvalidRequest(VENUES, {"country": "nl"}, 422, "invalid", "country"),
    InvalidRequest(VENUES, {"sections": [_section("S", ("A", 1), ("A", 1))]}, 422, "invalid", "sections.0.rows.1.name"),
    InvalidRequest(
        VENUES, {"sections": [_section("S", ("A", 1)), _section("S", ("B", 1))]}, 422, "invalid", "sections.1.name"
    ),
    InvalidRequest(VENUES, {"sections": ENORMOUS}, 422, "invalid", "sections"),
    InvalidRequest(MEMBERS, {"email": "Nobody <nobody@example.com>"}, 422, "invalid", "email"),
    InvalidRequest(MEMBERS, {"role": "SUPER_ADMIN"}, 422, "invalid", "role"),
    InvalidRequest("PATCH /orgs/{org_id}/members/{user_id}", {"role": "OWNER"}, 422, "invalid", "role"),
    InvalidRequest("POST /orgs/{org_id}/api-keys", {"role": "SUPPORT"}, 422, "invalid", "role"),
    InvalidRequest(WEBHOOKS, {"url": "http://localhost/hooks"}, 422, "invalid", "url"),
    InvalidRequest(WEBHOOKS, {"url": "https://169.254.169.254/latest/meta-data/"}, 422, "invalid", "url"),
    InvalidRequest(WEBHOOKS, {"url": "https://user:password@example.com/"}, 422, "invalid", "url"),
    InvalidRequest(WEBHOOKS, {"url": "ftp://example.com/"}, 422, "invalid", "url"),
    InvalidRequest(WEBHOOKS, {"types": ["nothing.happened"]}, 422, "invalid", "types"),
    InvalidRequest("PATCH /orgs/{org_id}/webhooks/{webhook_id}", {"url": "https://[::1]/"}, 422, "invalid", "url"),
    InvalidRequest("PATCH /orgs/{org_id}/webhooks/{webhook_id}", {"url": None}, 422, "invalid", "url"),
    InvalidRequest("POST /orgs", {"slug": "Not a slug"}, 422, "invalid", "slug"),
    InvalidRequest("POST /auth/register", {"password": "short"}, 422, "invalid", "password"),
    InvalidRequest("POST /tickets/{ticket_id}/transfer", {"email": "nobody@example.com"}, 422, "invalid", "email"),
    InvalidRequest(DOOR, {"code": "T1.nonsense"}, 422, "invalid_code", "code"),
    InvalidRequest(DOOR, {"scanned_at": "2030-01-01T00:00:00"}, 422, "invalid", "scanned_at"),
)


@pytest.mark.parametrize("invalid", INVALID_REQUESTS, ids=str)
async def test_an_impossible_request_is_refused_naming_the_field(
    app: FastAPI, client: httpx2.AsyncClient, tenant: FullTenant, invalid: InvalidRequest
) -> None:
    call = await build_call(next(examples_of(invalid.route)), tenant)
    before = await read_state(app)
    error = refusal(await send(client, _changed(call, invalid.changes)), invalid.status)
    assert (error["code"], _outermost(error, invalid)) == (invalid.code, invalid.field)
    assert changed_tables(before, await read_state(app)) == []
    assert (await send(client, call)).is_success, "the valid request succeeds"


def _changed(call: Call, changes: dict[str, Any]) -> Call:
    return replace(call, body={**call.body, **changes})


def _outermost(error: dict[str, Any], invalid: InvalidRequest) -> str | None:
    field: str | None = error.get("field")
    is_inside = field is not None and invalid.field is not None and field.startswith(f"{invalid.field}.")
    return invalid.field if is_inside else field
