"""Which requests take turns with which."""

import pytest

from ticketing.infra.http.gate import Turn
from ticketing.lanes import turn_of

EVENT = "019a0000-0000-7000-8000-000000000001"
HOLD = f'{{"event_id": "{EVENT}", "seats": ["A-1-1"]}}'.encode()


@pytest.mark.parametrize(
    ("method", "path", "body", "turn"),
    [
        ("POST", "/api/v1/reservations", HOLD, Turn("sale", EVENT)),
        ("POST", "/api/v1/reservations", b"", Turn("sale", "other")),
        ("POST", "/api/v1/reservations", b" " * 4096 + HOLD, Turn("sale", "other")),
        ("DELETE", f"/api/v1/reservations/{EVENT}", b"", Turn("sale", "reservations")),
        ("POST", "/api/v1/orders", b"{}", Turn("sale", "orders")),
        ("POST", "/api/v1/payments", b"{}", Turn("sale", "payments")),
        ("POST", "/api/v1/checkout", b"{}", Turn("sale", "checkout")),
        ("POST", "/api/v1/payments/webhooks/mock", b"{}", Turn("provider", "mock")),
        ("POST", f"/api/v1/orgs/o/events/{EVENT}/check-ins", b"{}", Turn("scan", EVENT)),
        ("POST", f"/api/v1/orgs/o/events/{EVENT}/check-ins/sync", b"{}", Turn("scan", EVENT)),
        ("POST", f"/api/v1/orgs/o/events/{EVENT}/publish", b"{}", Turn("staff", "o")),
        ("GET", f"/api/v1/events/{EVENT}/availability", b"", Turn("read", EVENT)),
        ("GET", "/api/v1/events", b"", Turn("read", "events")),
        ("GET", "/api/v1/orders/1", b"", Turn("read", "orders")),
        ("POST", "/api/v1/auth/login", b"{}", Turn("account", "auth")),
        ("GET", "/", b"", Turn("read", "/")),
        ("GET", f"/api/v1/events/{EVENT}/stream", b"", None),
        ("GET", "/api/v1/orgs/o/feed", b"", None),
        ("GET", "/health/ready", b"", None),
        ("GET", "/metrics", b"", None),
        ("GET", "/static/app.css", b"", None),
    ],
)
def test_requests_belong_to_lanes(method: str, path: str, body: bytes, turn: Turn | None) -> None:
    assert turn_of({"type": "http", "method": method, "path": path}, body) == turn
