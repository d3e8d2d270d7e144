"""The life cycle of events, and its refusals."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text

from tests.modules.events.seat_driver import Stage
from tests.support.world import Show, Tenant, World, data, refusal
from ticketing.infra.db import Database
from ticketing.infra.outbox import OutboxRow
from ticketing.modules import events

EVENT = {"title": "Show", "starts_at": "2030-06-01T19:00:00Z", "timezone": "Europe/Amsterdam", "currency": "EUR"}


async def create(tenant: Tenant, **changes: Any) -> dict[str, Any]:
    event: dict[str, Any] = data(await tenant.admin.post(tenant.path("/events"), {**EVENT, **changes}), 201)
    return event


async def topics(database: Database) -> list[str]:
    async with database.transaction() as session:
        return list(await session.scalars(select(OutboxRow.topic).order_by(OutboxRow.id)))


async def test_a_new_event_is_a_draft_with_sensible_limits(world: World) -> None:
    tenant = await world.tenant()
    event = await create(tenant, description="  A long evening.\nWith a break.  ")
    assert event["status"] == "draft"
    assert (event["hold_seconds"], event["max_per_order"]) == (300, 10)
    assert event["description"] == "A long evening.\nWith a break."
    assert event["starts_at"] == "2030-06-01T19:00:00Z"
    assert (event["venue"], event["has_seats"], event["price_from"]) == (None, False, None)
    assert event["organization"]["id"] == tenant.id


async def test_times_are_returned_in_utc(world: World) -> None:
    event = await create(await world.tenant(), starts_at="2030-06-01T19:00:00+02:00")
    assert event["starts_at"] == "2030-06-01T17:00:00Z"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"title": " "}, "title"),
        ({"title": None}, "title"),
        ({"titel": "Show"}, "titel"),
        ({"starts_at": "tomorrow"}, "starts_at"),
        ({"starts_at": "2030-06-01T19:00:00"}, "starts_at"),
        ({"starts_at": 1_900_000_000}, "starts_at"),
        ({"ends_at": "2030-06-01T19:00:00Z"}, "ends_at"),
        ({"currency": "euro"}, "currency"),
        ({"currency": "QQQ"}, "currency"),
        ({"hold_seconds": 4}, "hold_seconds"),
        ({"hold_seconds": 3601}, "hold_seconds"),
        ({"max_per_order": 0}, "max_per_order"),
        ({"venue_id": str(uuid4())}, "venue_id"),
        ({"venue_id": "x"}, "venue_id"),
        ({"description": "x" * 10_001}, "description"),
        ({"sales_start_at": "2030-02-01T00:00:00Z", "sales_end_at": "2030-01-01T00:00:00Z"}, "sales_end_at"),
    ],
)
async def test_an_invalid_event_is_refused_with_the_field(world: World, changes: dict[str, Any], field: str) -> None:
    tenant = await world.tenant()
    error = refusal(await tenant.admin.post(tenant.path("/events"), {**EVENT, **changes}), 422)
    assert error["field"] == field
    event = await create(tenant)
    error = refusal(await tenant.admin.patch(tenant.path(f"/events/{event['id']}"), changes), 422)
    assert error["field"] == field
    assert data(await tenant.admin.get(tenant.path("/events"))) == [event]


async def test_an_event_goes_only_from_draft_to_published_to_cancelled(world: World, database: Database) -> None:
    show = await world.show(publish=False)
    admin = show.tenant.admin
    assert data(await admin.post(show.path("/publish")))["status"] == "published"
    assert refusal(await admin.post(show.path("/publish")), 409)["code"] == "event_state"
    assert data(await admin.post(show.path("/cancel")))["status"] == "cancelled"
    for act in ("/publish", "/cancel", "/seats/sync"):
        assert refusal(await admin.post(show.path(act)), 409)["code"] == "event_state"
    assert refusal(await admin.patch(show.path(), {"title": "Late"}), 409)["code"] == "event_state"
    body = {"name": "Late", "price": 1, "capacity": 1}
    assert refusal(await admin.post(show.path("/ticket-types"), body), 409)["code"] == "event_state"
    assert [t for t in await topics(database) if t.startswith("event.")] == [
        "event.created",
        "event.published",
        "event.cancelled",
    ]


async def test_an_event_without_ticket_types_is_not_published(world: World) -> None:
    tenant = await world.tenant()
    event = await create(tenant)
    answer = await tenant.admin.post(tenant.path(f"/events/{event['id']}/publish"))
    assert refusal(answer, 422)["field"] == "ticket_types"


async def test_an_event_with_unpriced_seats_is_not_published(world: World) -> None:
    tenant = await world.tenant()
    sections = [{"name": n, "category": n, "rows": [{"name": "A", "seats": 1}]} for n in ("Gold", "Iron", "Tin")]
    body = {"name": "X", "timezone": "UTC", "sections": sections}
    venue = data(await tenant.admin.post(tenant.path("/venues"), body), 201)
    show = await world.show(tenant, seats=0, capacity=1, publish=False, venue_id=venue["id"])
    data(await tenant.admin.post(show.path("/seats/sync")))
    data(await tenant.admin.post(show.path("/ticket-types"), {"name": "G", "price": 1, "categories": ["Gold"]}), 201)
    error = refusal(await tenant.admin.post(show.path("/publish")), 422)
    assert (error["field"], error["categories"]) == ("ticket_types", ["Iron", "Tin"])


async def test_a_change_is_audited_with_before_and_after(world: World) -> None:
    show = await world.show()
    admin = show.tenant.admin
    changes = {"title": "Another show", "hold_seconds": 60, "description": None}
    changed = data(await admin.patch(show.path(), changes))
    assert (changed["title"], changed["hold_seconds"]) == ("Another show", 60)
    newest = data(await admin.get(show.tenant.path("/audit-log")))[0]
    assert newest["action"] == "event.updated"
    assert newest["before"] == {"title": "Show", "hold_seconds": 300, "description": None}
    assert newest["after"] == changes


async def test_an_update_without_changes_is_neither_audited_nor_published(world: World, database: Database) -> None:
    show = await world.show()
    data(await show.tenant.admin.patch(show.path(), {"title": "Show"}))
    data(await show.tenant.admin.patch(show.path(), {}))
    assert "event.updated" not in await topics(database)


async def test_venue_and_currency_are_fixed_once_there_is_a_ticket_type(world: World) -> None:
    show = await world.show(publish=False)
    admin = show.tenant.admin
    other = await world.venue(show.tenant)
    for changes in ({"currency": "USD"}, {"venue_id": other["id"]}, {"venue_id": None}):
        error = refusal(await admin.patch(show.path(), changes), 409)
        assert (error["code"], [error["field"]]) == ("event_in_use", list(changes))
    event = await create(show.tenant, venue_id=show.venue_id)
    changed = await admin.patch(
        show.tenant.path(f"/events/{event['id']}"), {"currency": "USD", "venue_id": other["id"]}
    )
    assert (data(changed)["currency"], data(changed)["venue"]["id"]) == ("USD", other["id"])


async def test_an_event_without_a_venue_needs_a_time_zone(world: World) -> None:
    tenant = await world.tenant()
    for timezone in (None, "", "Mars/Olympus", "CEST+1"):
        answer = await tenant.admin.post(tenant.path("/events"), {**EVENT, "timezone": timezone})
        assert refusal(answer, 422)["field"] == "timezone"
    event = await create(tenant, timezone="Asia/Tokyo")
    path = tenant.path(f"/events/{event['id']}")
    assert refusal(await tenant.admin.patch(path, {"timezone": None}), 422)["field"] == "timezone"
    assert data(await tenant.admin.patch(path, {"timezone": "Asia/Seoul"}))["timezone"] == "Asia/Seoul"


async def test_an_event_follows_the_time_zone_of_its_venue(world: World) -> None:
    tenant = await world.tenant()
    venue = await world.venue(tenant)
    event = await create(tenant, timezone="Asia/Tokyo")
    path = tenant.path(f"/events/{event['id']}")
    other = {"venue_id": venue["id"], "timezone": "Asia/Tokyo"}
    assert refusal(await tenant.admin.patch(path, other), 422)["field"] == "timezone"
    assert data(await tenant.admin.patch(path, {"venue_id": venue["id"]}))["timezone"] == "Europe/Amsterdam"
    assert refusal(await tenant.admin.patch(path, {"timezone": "Asia/Tokyo"}), 422)["field"] == "timezone"
    newest = data(await tenant.admin.get(tenant.path("/audit-log")))[0]
    assert newest["after"] == {"venue_id": venue["id"], "timezone": "Europe/Amsterdam"}
    without = data(await tenant.admin.patch(path, {"venue_id": None}))
    assert (without["venue"], without["timezone"]) == (None, "Europe/Amsterdam")


async def test_a_venue_of_another_organization_is_unknown(world: World) -> None:
    tenant, other = await world.tenant(), await world.tenant("other")
    venue = await world.venue(other)
    answer = await tenant.admin.post(tenant.path("/events"), {**EVENT, "venue_id": venue["id"]})
    assert refusal(answer, 422)["field"] == "venue_id"


async def test_another_organization_can_do_nothing_to_an_event(world: World) -> None:
    show, other = await world.show(), await world.tenant("other")
    for tenant in (other, show.tenant):  # through their own door, and through ours
        path = tenant.path(f"/events/{show.id}")
        for act in ("", "/ticket-types"):
            assert refusal(await other.admin.get(path + act), 404)["code"] == "not_found"
        for act in ("/publish", "/cancel", "/seats/sync"):
            assert refusal(await other.admin.post(path + act), 404)["code"] == "not_found"
        assert refusal(await other.admin.patch(path, {"title": "Mine"}), 404)["code"] == "not_found"
        seats = {"seats": ["Stalls-A-1"]}
        assert refusal(await other.admin.post(path + "/seats/block", seats), 404)["code"] == "not_found"
        body = {"name": "Mine", "price": 1, "capacity": 1}
        assert refusal(await other.admin.post(path + "/ticket-types", body), 404)["code"] == "not_found"


async def test_a_scanner_can_read_events_but_not_change_them(world: World) -> None:
    show = await world.show()
    scanner = await world.member(show.tenant, "ORG_SCANNER")
    assert data(await scanner.get(show.path()))["id"] == show.id
    assert refusal(await scanner.post(show.path("/cancel")), 403)["code"] == "forbidden"


async def test_own_events_are_listed_in_every_status_page_by_page(world: World) -> None:
    tenant = await world.tenant()
    made = [(await create(tenant, title=str(n)))["id"] for n in range(3)]
    first = await tenant.admin.get(tenant.path("/events?limit=2"))
    cursor = first.json()["meta"]["next_cursor"]
    second = await tenant.admin.get(tenant.path(f"/events?limit=2&cursor={cursor}"))
    assert [event["id"] for event in data(first) + data(second)] == made[::-1]


async def test_past_events_are_completed_by_postgres_clock(world: World, database: Database) -> None:
    ended = await world.show(rows=1, seats=1)
    lasting = await world.show(rows=1, seats=1)
    draft = await world.show(rows=1, seats=1, publish=False)
    async with database.transaction() as session:
        long_ago = text("update events set starts_at = now() - interval '25 hours', ends_at = :end where id = :id")
        for show, end in ((ended, None), (lasting, "2099-01-01"), (draft, None)):
            await session.execute(long_ago, {"id": show.id, "end": end})
    async with database.transaction() as session:
        assert await events.complete_past_events(session) == 1
        assert await events.complete_past_events(session) == 0
    assert data(await world.client.get(f"/api/v1/events/{ended.id}"))["status"] == "completed"
    assert data(await world.client.get(f"/api/v1/events/{lasting.id}"))["status"] == "published"
    assert (await topics(database)).count("event.completed") == 1


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("status = 'cancelled'", "cancelled"),
        ("status = 'completed'", "completed"),
        ("sales_start_at = now() + interval '1 minute'", "not begun"),
        ("sales_end_at = now()", "ended"),
        ("starts_at = now() - interval '2 days'", "ended"),
    ],
)
async def test_an_event_that_is_not_on_sale_says_why(world: World, database: Database, state: str, words: str) -> None:
    show = await world.show(rows=1, seats=1)
    assert (await sale_of(database, show)).refusal is None
    async with database.transaction() as session:
        await session.execute(text(f"update events set {state}"))
    refusal = (await sale_of(database, show)).refusal
    assert isinstance(refusal, events.EventNotOnSale)
    assert words in refusal.message


async def test_a_draft_can_not_be_found_by_buyers(world: World, database: Database) -> None:
    show = await world.show(rows=1, seats=1, publish=False)
    async with database.transaction() as session:
        assert await events.find_organization(session, UUID(show.id)) is None
        assert await events.find_organization(session, uuid4()) is None
    assert await sale_of(database, show) is None


async def sale_of(database: Database, show: Show) -> Any:
    async with Stage(database, show).batch() as connection:
        asked = await events.query_sale_terms(connection, UUID(show.tenant.id), [UUID(show.id)])
        return (await asked.fetch()).get(UUID(show.id))
