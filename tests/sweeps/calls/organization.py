"""Examples of users, organizations, venues and events."""

from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, update

from tests.support.world import PASSWORD, Person, Show, data, invitation_token
from tests.sweeps.calls import mail_tokens, privacy, second_factor, sessions, webhooks  # noqa: F401 (imported to register examples)
from tests.sweeps.calls.call import Call, example
from tests.sweeps.full_tenant import FullTenant
from ticketing.modules import iam

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


def ids(tenant: FullTenant, **more: str) -> dict[str, str]:
    return {"org_id": tenant.organization.id, **more}


async def fresh_venue(tenant: FullTenant) -> dict[str, str]:
    venue = await tenant.world.venue(tenant.organization, 1, 1)
    return ids(tenant, venue_id=venue["id"])


async def fresh_draft(tenant: FullTenant) -> dict[str, str]:
    show = await tenant.world.show(tenant.organization, rows=1, seats=3, capacity=5, publish=False)
    return ids(tenant, event_id=show.id)


async def bare_draft(tenant: FullTenant, venue_id: str | None) -> dict[str, str]:
    """An event with a venue, without prices and seats."""
    body = {
        "title": "Bare",
        "venue_id": venue_id,
        "starts_at": "2030-06-01T19:00:00Z",
        "timezone": "Europe/Amsterdam",
        "currency": "EUR",
    }
    made = (await tenant.admin.post(tenant.organization.path("/events"), body)).json()["data"]
    return ids(tenant, event_id=made["id"])


@example("POST /auth/register")
async def register(tenant: FullTenant) -> Call:
    body = {"email": f"new-{uuid4().hex}@example.com", "password": PASSWORD, "display_name": "New"}
    return Call(None, body=body)


@example("POST /auth/login")
async def log_in(tenant: FullTenant) -> Call:
    return Call(None, body={"email": tenant.buyer.email, "password": PASSWORD})


@example("POST /auth/refresh")
async def refresh(tenant: FullTenant) -> Call:
    return Call(None, body={"refresh_token": (await tenant.world.person()).refresh_token})


@example("POST /auth/logout")
async def log_out(tenant: FullTenant) -> Call:
    return Call(None, body={"refresh_token": (await tenant.world.person()).refresh_token})


@example("POST /orgs")
async def open_organization(tenant: FullTenant) -> Call:
    return Call(tenant.buyer, body={"name": "New", "slug": f"new-{uuid4().hex[:12]}"})


@example("PATCH /orgs/{org_id}")
async def rename(tenant: FullTenant) -> Call:
    changes = {
        "name": f"Renamed {uuid4().hex}",
        "slug": f"r-{uuid4().hex[:12]}",
        "buyer_data_days": 365,
        "provider_refund_tickets": "void",
    }
    return Call(tenant.admin, ids(tenant), changes)


@example("POST /orgs/{org_id}/members")
async def add_member(tenant: FullTenant) -> Call:
    return Call(tenant.admin, ids(tenant), {"email": (await tenant.world.person()).email, "role": "ORG_SCANNER"})


@example("POST /orgs/{org_id}/invitations")
async def invite(tenant: FullTenant) -> Call:
    return Call(tenant.admin, ids(tenant), {"email": f"new-{uuid4().hex}@example.com", "role": "ORG_STAFF"})


@example("DELETE /orgs/{org_id}/invitations/{invitation_id}")
async def withdraw(tenant: FullTenant) -> Call:
    _, invitation = await _invited(tenant)
    return Call(tenant.admin, ids(tenant, invitation_id=invitation["id"]))


@example("GET /invitations/{token}")
async def read_invitation(tenant: FullTenant) -> Call:
    _, invitation = await _invited(tenant)
    return Call(None, {"token": invitation_token(invitation["id"])})


@example("POST /invitations/{token}/accept")
async def accept_invitation(tenant: FullTenant) -> Call:
    person, invitation = await _invited(tenant)
    return Call(person, {"token": invitation_token(invitation["id"])})


@example("POST /me/invitations/{invitation_id}/accept")
async def accept_my_invitation(tenant: FullTenant) -> Call:
    person, invitation = await _invited(tenant)
    return Call(person, {"invitation_id": invitation["id"]})


@example("DELETE /me/invitations/{invitation_id}")
async def decline(tenant: FullTenant) -> Call:
    person, invitation = await _invited(tenant)
    return Call(person, {"invitation_id": invitation["id"]})


async def _invited(tenant: FullTenant) -> tuple[Person, dict[str, Any]]:
    """A person with a verified address, and their invitation."""
    person = await tenant.world.person()
    verify = update(iam.User).where(iam.User.id == UUID(person.id)).values(email_verified_at=func.now())
    async with tenant.app.state.worker_database.transaction() as session:
        await session.execute(verify)
    body = {"email": person.email, "role": "ORG_SCANNER"}
    return person, data(await tenant.admin.post(tenant.organization.path("/invitations"), body), 201)


@example("PATCH /orgs/{org_id}/members/{user_id}")
async def promote(tenant: FullTenant) -> Call:
    member = await tenant.world.member(tenant.organization, "ORG_SCANNER")
    return Call(tenant.admin, ids(tenant, user_id=member.id), {"role": "ORG_STAFF"})


@example("DELETE /orgs/{org_id}/members/{user_id}")
async def dismiss(tenant: FullTenant) -> Call:
    return Call(tenant.admin, ids(tenant, user_id=(await tenant.world.member(tenant.organization, "ORG_SCANNER")).id))


@example("POST /orgs/{org_id}/api-keys")
async def make_key(tenant: FullTenant) -> Call:
    return Call(
        tenant.admin, ids(tenant), {"name": "door", "role": "ORG_SCANNER", "expires_at": "2030-06-01T19:00:00Z"}
    )


@example("DELETE /orgs/{org_id}/api-keys/{key_id}")
async def revoke_key(tenant: FullTenant) -> Call:
    made = await tenant.admin.post(tenant.organization.path("/api-keys"), {"name": "old", "role": "ORG_SCANNER"})
    return Call(tenant.admin, ids(tenant, key_id=made.json()["data"]["id"]))


@example("POST /orgs/{org_id}/venues")
async def create_venue(tenant: FullTenant) -> Call:
    return Call(tenant.staff, ids(tenant), VENUE)


@example("POST /orgs/{org_id}/venues/import")
async def import_venue(tenant: FullTenant) -> Call:
    query = {"format": "pretix", "name": "Cellar", "city": "Gent", "country": "BE", "timezone": "Europe/Brussels"}
    return Call(tenant.staff, ids(tenant), PLAN, query)


@example("POST /orgs/{org_id}/venues/import/preview")
async def preview_import(tenant: FullTenant) -> Call:
    return Call(tenant.staff, ids(tenant), PLAN, {"format": "pretix", "name": "Cellar", "timezone": "Europe/Brussels"})


@example("POST /orgs/{org_id}/venues/{venue_id}/plans")
async def create_plan(tenant: FullTenant) -> Call:
    return Call(tenant.staff, await fresh_venue(tenant), {"sections": VENUE["sections"]})


@example("POST /orgs/{org_id}/venues/{venue_id}/plans/import")
async def import_plan(tenant: FullTenant) -> Call:
    # The use of an API key would be recorded before the body is read.
    return Call(tenant.admin, await fresh_venue(tenant), PLAN, {"format": "pretix"})


@example("POST /orgs/{org_id}/events")
async def create_event(tenant: FullTenant) -> Call:
    body = {
        "title": "New",
        "venue_id": tenant.show.venue_id,
        "starts_at": "2030-06-01T19:00:00Z",
        "ends_at": "2030-06-01T22:00:00Z",
        "currency": "EUR",
        "description": "Words",
        "sales_start_at": "2026-01-01T00:00:00Z",
        "sales_end_at": "2030-06-01T19:00:00Z",
        "hold_seconds": 60,
        "max_per_order": 4,
    }
    return Call(tenant.staff, ids(tenant), body)


@example("PATCH /orgs/{org_id}/events/{event_id}")
async def update_event(tenant: FullTenant) -> Call:
    venue = await tenant.world.venue(tenant.organization, 1, 3)
    draft = await bare_draft(tenant, tenant.show.venue_id)
    return Call(tenant.staff, draft, {"title": "Changed", "venue_id": venue["id"], "hold_seconds": 30})


@example("POST /orgs/{org_id}/events/{event_id}/publish")
async def publish(tenant: FullTenant) -> Call:
    return Call(tenant.staff, await fresh_draft(tenant))


@example("POST /orgs/{org_id}/events/{event_id}/cancel")
async def cancel_event(tenant: FullTenant) -> Call:
    return Call(tenant.staff, await fresh_draft(tenant))


@example("POST /orgs/{org_id}/events/{event_id}/ticket-types")
async def price_seats(tenant: FullTenant) -> Call:
    body = {"name": "Seat", "price": 4500, "categories": ["Stalls"], "max_per_order": 4}
    return Call(tenant.staff, await bare_draft(tenant, tenant.show.venue_id), body)


@example("POST /orgs/{org_id}/events/{event_id}/ticket-types (with a capacity)")
async def price_places(tenant: FullTenant) -> Call:
    return Call(tenant.staff, await bare_draft(tenant, None), {"name": "Standing", "price": 0, "capacity": 50})


@example("POST /orgs/{org_id}/events/{event_id}/seats/sync")
async def sync(tenant: FullTenant) -> Call:
    return Call(tenant.staff, await bare_draft(tenant, tenant.draft.venue_id))


@example("POST /orgs/{org_id}/events/{event_id}/seats/block")
async def block(tenant: FullTenant) -> Call:
    return Call(tenant.staff, ids(tenant, event_id=tenant.show.id), {"seats": [tenant.seats.pop()]})


@example("POST /orgs/{org_id}/events/{event_id}/seats/unblock")
async def unblock(tenant: FullTenant) -> Call:
    seats: dict[str, Any] = {"seats": [tenant.seats.pop()]}
    show: Show = tenant.show
    assert (await tenant.admin.post(show.path("/seats/block"), seats)).status_code == 200
    return Call(tenant.staff, ids(tenant, event_id=show.id), seats)


@example("POST /orgs/{org_id}/events/{event_id}/devices")
async def make_device(tenant: FullTenant) -> Call:
    return Call(tenant.staff, ids(tenant, event_id=tenant.show.id), {"name": "Phone", "gate": "North"})


@example("DELETE /orgs/{org_id}/events/{event_id}/devices/{device_id}")
async def revoke_device(tenant: FullTenant) -> Call:
    made = (await tenant.admin.post(tenant.show.path("/devices"), {"name": "Lost"})).json()["data"]
    return Call(tenant.staff, ids(tenant, event_id=tenant.show.id, device_id=made["id"]))
