"""Events as the API describes them, for tests of the rendered pages."""

from datetime import UTC, datetime, timedelta
from typing import Any

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
ID = "01900000-0000-7000-8000-000000000000"


def money(amount: int, currency: str = "EUR", digits: int = 2) -> dict[str, Any]:
    return {"amount": amount, "currency": currency, "digits": digits}


def event_of(**changes: Any) -> dict[str, Any]:
    """An event on sale with two categories of seats and one type of places. `free`, `held`: of each of the three."""
    free, held = changes.pop("free", (5, 5, 5)), changes.pop("held", (0, 0, 0))
    price = changes.pop("price", money(4500))
    kinds = [
        {
            "name": "Seat",
            "price": price,
            "categories": ["Balcony", "Stalls", "Unused"],
            "available": None,
            "held": None,
        },
        {"name": "Standing", "price": price, "categories": [], "available": free[2], "held": held[2]},
    ]
    seats = {name: {"available": free[n], "held": held[n]} for n, name in enumerate(("Balcony", "Stalls"))}
    counts = {"capacity": 15, "available": sum(free), "held": sum(held), "categories": seats}
    return {
        "id": ID,
        "title": "Late show",
        "description": "Bring a book.",
        "status": "published",
        "starts_at": "2030-06-01T19:00:00Z",
        "ends_at": None,
        "timezone": "Europe/Amsterdam",
        "currency": price["currency"],
        "organization": {"name": "Tenant", "slug": "tenant"},
        "venue": {"name": "Hall", "city": "Utrecht", "country": "NL"},
        "sales_start_at": None,
        "sales_end_at": None,
        "ticket_types": kinds,
        "availability": counts,
        "price_from": price,
        "plan_version": 1,
        "calendar_sequence": 0,
        "calendar_changed_at": "2029-12-01T12:00:00Z",
        **changes,
    }


def after(hours: float) -> str:
    return (NOW + timedelta(hours=hours)).isoformat()
