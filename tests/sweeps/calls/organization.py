"""Examples of people, organizations, venues and events."""

from typing import Any
from uuid import uuid4

from tests.support.world import PASSWORD, Show
from tests.sweeps.calls import mail_tokens, privacy, second_factor, sessions, webhooks  # noqa: F401 (they register examples)
from tests.sweeps.calls.call import Call, example
from tests.sweeps.full_tenant import Stage

SECTION = {"name": "Stalls", "category": "Stalls", "rows": [{"name": "A", "seats": 3}]}
VENUE = {"name": "Hall", "city": "Utrecht", "country": "NL", "timezone": "Europe/Amsterdam", "sections": [SECTION]}
PLAN = {
    "name": "Cellar",
    "size": {"width": 100, "height": 100},
    "categories": [{"name": "Gold", "color": "#aa8800"}],
    "zones": [
        {
            "name": "Floor",
            "position": {"x": 0, "y": 0},
            "rows": [
                {
                    "row_number": "1",
                    "position": {"x": 1, "y": 1},
                    "seats": [
                        {
                            "seat_guid": "one",
                            "seat_number": "1",
                            "position": {"x": 1, "y": 1},
                            "category": "Gold",
                        }
                    ],
                }
            ],
            "areas": [],
        }
    ],
}


def ids(stage: Stage, **more: str) -> dict[str, str]:
    return {"org_id": stage.tenant.id, **more}


async def fresh_draft(stage: Stage) -> dict[str, str]:
    show = await stage.world.show(stage.tenant, rows=1, seats=3, capacity=5, publish=False)
    return ids(stage, event_id=show.id)


async def bare_draft(stage: Stage, venue_id: str | None) -> dict[str, str]:
    """An event with a venue, and neither prices nor seats."""
    body = {"title": "Bare", "starts_at": "2030-06-01T19:00:00Z", "currency": "EUR", "venue_id": venue_id}
    made = (await stage.admin.post(stage.tenant.path("/events"), body)).json()["data"]
    return ids(stage, event_id=made["id"])


@example("POST /auth/register")
async def register(stage: Stage) -> Call:
    body = {"email": f"new-{uuid4().hex}@example.com", "password": PASSWORD, "display_name": "New"}
    return Call(None, body=body)


@example("POST /auth/login")
async def log_in(stage: Stage) -> Call:
    return Call(None, body={"email": stage.buyer.email, "password": PASSWORD})


@example("POST /auth/refresh")
async def refresh(stage: Stage) -> Call:
    return Call(None, body={"refresh_token": (await stage.world.person()).refresh_token})


@example("POST /auth/logout")
async def log_out(stage: Stage) -> Call:
    return Call(None, body={"refresh_token": (await stage.world.person()).refresh_token})


@example("POST /orgs")
async def open_organization(stage: Stage) -> Call:
    return Call(stage.buyer, body={"name": "New", "slug": f"new-{uuid4().hex[:12]}"})


@example("PATCH /orgs/{org_id}")
async def rename(stage: Stage) -> Call:
    changes = {"name": f"Renamed {uuid4().hex}", "slug": f"r-{uuid4().hex[:12]}", "buyer_data_days": 365}
    return Call(stage.admin, ids(stage), changes)


@example("POST /orgs/{org_id}/members")
async def add_member(stage: Stage) -> Call:
    return Call(stage.admin, ids(stage), {"email": (await stage.world.person()).email, "role": "ORG_SCANNER"})


@example("PATCH /orgs/{org_id}/members/{user_id}")
async def promote(stage: Stage) -> Call:
    member = await stage.world.member(stage.tenant, "ORG_SCANNER")
    return Call(stage.admin, ids(stage, user_id=member.id), {"role": "ORG_STAFF"})


@example("DELETE /orgs/{org_id}/members/{user_id}")
async def dismiss(stage: Stage) -> Call:
    return Call(stage.admin, ids(stage, user_id=(await stage.world.member(stage.tenant, "ORG_SCANNER")).id))


@example("POST /orgs/{org_id}/api-keys")
async def make_key(stage: Stage) -> Call:
    return Call(stage.admin, ids(stage), {"name": "door", "role": "ORG_SCANNER", "expires_at": "2030-06-01T19:00:00Z"})


@example("DELETE /orgs/{org_id}/api-keys/{key_id}")
async def revoke_key(stage: Stage) -> Call:
    made = await stage.admin.post(stage.tenant.path("/api-keys"), {"name": "old", "role": "ORG_SCANNER"})
    return Call(stage.admin, ids(stage, key_id=made.json()["data"]["id"]))


@example("POST /orgs/{org_id}/venues")
async def create_venue(stage: Stage) -> Call:
    return Call(stage.staff, ids(stage), VENUE)


@example("POST /orgs/{org_id}/venues/import")
async def import_venue(stage: Stage) -> Call:
    query = {"format": "pretix", "name": "Cellar", "city": "Gent", "country": "BE", "timezone": "Europe/Brussels"}
    return Call(stage.staff, ids(stage), PLAN, query)


@example("POST /orgs/{org_id}/events")
async def create_event(stage: Stage) -> Call:
    body = {
        "title": "New",
        "venue_id": stage.show.venue_id,
        "starts_at": "2030-06-01T19:00:00Z",
        "ends_at": "2030-06-01T22:00:00Z",
        "currency": "EUR",
        "description": "Words",
        "sales_start_at": "2026-01-01T00:00:00Z",
        "sales_end_at": "2030-06-01T19:00:00Z",
        "hold_seconds": 60,
        "max_per_order": 4,
    }
    return Call(stage.staff, ids(stage), body)


@example("PATCH /orgs/{org_id}/events/{event_id}")
async def update_event(stage: Stage) -> Call:
    venue = await stage.world.venue(stage.tenant, 1, 3)
    draft = await bare_draft(stage, stage.show.venue_id)
    return Call(stage.staff, draft, {"title": "Changed", "venue_id": venue["id"], "hold_seconds": 30})


@example("POST /orgs/{org_id}/events/{event_id}/publish")
async def publish(stage: Stage) -> Call:
    return Call(stage.staff, await fresh_draft(stage))


@example("POST /orgs/{org_id}/events/{event_id}/cancel")
async def cancel_event(stage: Stage) -> Call:
    return Call(stage.staff, await fresh_draft(stage))


@example("POST /orgs/{org_id}/events/{event_id}/ticket-types")
async def price_seats(stage: Stage) -> Call:
    body = {"name": "Seat", "price": 4500, "categories": ["Stalls"], "max_per_order": 4}
    return Call(stage.staff, await bare_draft(stage, stage.show.venue_id), body)


@example("POST /orgs/{org_id}/events/{event_id}/ticket-types (with a capacity)")
async def price_places(stage: Stage) -> Call:
    return Call(stage.staff, await bare_draft(stage, None), {"name": "Standing", "price": 0, "capacity": 50})


@example("POST /orgs/{org_id}/events/{event_id}/seats/sync")
async def sync(stage: Stage) -> Call:
    return Call(stage.staff, await bare_draft(stage, stage.draft.venue_id))


@example("POST /orgs/{org_id}/events/{event_id}/seats/block")
async def block(stage: Stage) -> Call:
    return Call(stage.staff, ids(stage, event_id=stage.show.id), {"seats": [stage.seats.pop()]})


@example("POST /orgs/{org_id}/events/{event_id}/seats/unblock")
async def unblock(stage: Stage) -> Call:
    seats: dict[str, Any] = {"seats": [stage.seats.pop()]}
    show: Show = stage.show
    assert (await stage.admin.post(show.path("/seats/block"), seats)).status_code == 200
    return Call(stage.staff, ids(stage, event_id=show.id), seats)


@example("POST /orgs/{org_id}/events/{event_id}/devices")
async def make_device(stage: Stage) -> Call:
    return Call(stage.staff, ids(stage, event_id=stage.show.id), {"name": "Phone", "gate": "North"})


@example("DELETE /orgs/{org_id}/events/{event_id}/devices/{device_id}")
async def revoke_device(stage: Stage) -> Call:
    made = (await stage.admin.post(stage.show.path("/devices"), {"name": "Lost"})).json()["data"]
    return Call(stage.staff, ids(stage, event_id=stage.show.id, device_id=made["id"]))
