"""Builders of seating plans in pretix's format."""

from typing import Any


def seat(number: int, category: str = "Stalls", **changes: Any) -> dict[str, Any]:
    place = {"x": number * 20, "y": 0}
    return {
        "seat_guid": f"guid-{number}",
        "seat_number": str(number),
        "position": place,
        "category": category,
    } | changes


def row(name: str, seats: int, y: int = 0, **changes: Any) -> dict[str, Any]:
    numbered = [seat(n, seat_guid=f"{name}-{n}") for n in range(1, seats + 1)]
    return {"row_number": name, "position": {"x": 5, "y": y}, "seats": numbered} | changes


def plan(**changes: Any) -> dict[str, Any]:
    """Build a plan with two rows of three seats in one zone at (100, 200), and a stage."""
    stage = {"position": {"x": 10, "y": -90}, "width": 300, "height": 60, "text": "Stage", "color": "#222222"}
    zone = {
        "name": "Stalls",
        "position": {"x": 100, "y": 200},
        "rows": [row("A", 3), row("B", 3, 30)],
        "areas": [stage],
    }
    return {
        "name": "Small house",
        "size": {"width": 800, "height": 600},
        "categories": [{"name": "Stalls", "color": "#aa0000"}],
        "zones": [zone],
    } | changes
