"""Public events: search, seats, and seat map."""

from typing import Any
from uuid import uuid4

import pytest

from tests.modules.events.seat_driver import EARLIER, Stage
from tests.support.statements import recorded_statements
from tests.support.world import API, World, data, refusal
from ticketing.infra.db import Database
from ticketing.modules.events import layout


async def find(world: World, **query: Any) -> list[str]:
    return [event["title"] for event in data(await world.client.get(f"{API}/events", params=query))]


async def test_an_event_shows_its_ticket_types_and_availability(world: World, database: Database) -> None:
    show = await world.show(rows=2, seats=5, capacity=7, area_price=900)
    stage, buyer = Stage(database, show), uuid4()
    await stage.take(show.labels[:2], buyer)
    await stage.sell(buyer, [0, 1])
    await stage.take(show.labels[2:5])
    await stage.take(show.labels[5:6], uuid4(), EARLIER)
    data(await show.tenant.admin.post(show.path("/seats/block"), {"seats": show.labels[9:]}))
    event = data(await world.client.get(f"{API}/events/{show.id}"))
    of_seats = {"categories": {"Stalls": {"available": 4, "held": 3}}}
    assert event["availability"] == {"capacity": 17, "available": 11, "held": 3, "sold": 2, "blocked": 1, **of_seats}
    assert event["price_from"] == {"amount": 900, "currency": "EUR", "digits": 2}
    assert event["has_seats"] is True
    assert event["organization"] == {"id": show.tenant.id, "name": "Tenant", "slug": show.tenant.slug}
    venue = {"id": show.venue_id, "name": "Hall", "city": "Utrecht", "country": "NL", "timezone": "Europe/Amsterdam"}
    assert event["venue"] == venue
    seats, standing = event["ticket_types"]
    assert (seats["categories"], seats["capacity"]) == (["Stalls"], None)
    assert (standing["categories"], standing["capacity"], standing["available"]) == ([], 7, 7)


async def test_the_availability_is_never_older_than_the_request(world: World) -> None:
    show, buyer = await world.show(rows=1, seats=10), await world.person()
    for held, label in enumerate(show.labels):
        event = data(await world.client.get(f"{API}/events/{show.id}"))
        assert event["availability"]["held"] == held
        await world.hold(buyer, show, label)


async def test_drafts_are_visible_to_their_organization_only(world: World) -> None:
    show = await world.show(publish=False)
    stranger = await world.person()
    scanner = await world.member(show.tenant, "ORG_SCANNER")
    for rest in ("", "/seats", "/seatmap"):
        path = f"/events/{show.id}{rest}"
        assert refusal(await world.client.get(API + path), 404)["code"] == "not_found"
        assert refusal(await stranger.get(path), 404)["code"] == "not_found"
        assert data(await scanner.get(path))
    assert await find(world) == []
    wrong = await world.client.get(f"{API}/events/{show.id}", headers={"Authorization": "Bearer nonsense"})
    assert refusal(wrong, 401)["code"] == "unauthenticated"


async def test_an_unknown_event_is_not_found(world: World) -> None:
    assert refusal(await world.client.get(f"{API}/events/{uuid4()}"), 404)["code"] == "not_found"
    assert refusal(await world.client.get(f"{API}/events/7"), 422)["field"] == "event_id"


async def test_cancelled_events_are_visible_but_not_listed(world: World) -> None:
    show = await world.show(rows=1, seats=1)
    data(await show.tenant.admin.post(show.path("/cancel")))
    assert data(await world.client.get(f"{API}/events/{show.id}"))["status"] == "cancelled"
    assert await find(world) == []


async def test_events_are_found_by_words_city_time_and_organization(world: World) -> None:
    first, second = await world.tenant("first"), await world.tenant("second")
    await world.show(first, rows=1, seats=1, title="100% Jazz_Night", starts_at="2030-01-01T20:00:00Z")
    await world.show(second, rows=1, seats=1, title="Opera", starts_at="2030-02-01T20:00:00Z")
    await world.show(second, seats=0, capacity=1, title="Open air", starts_at="2030-03-01T20:00:00Z")
    assert await find(world) == ["100% Jazz_Night", "Opera", "Open air"]
    assert await find(world, sort="-starts_at") == ["Open air", "Opera", "100% Jazz_Night"]
    assert await find(world, q="jazz") == ["100% Jazz_Night"]
    assert await find(world, q="HALL") == ["100% Jazz_Night", "Opera"]
    assert await find(world, q="utre", city="UTRECHT") == ["100% Jazz_Night", "Opera"]
    assert await find(world, city="Paris") == []
    assert await find(world, **{"from": "2030-02-01T20:00:00Z", "to": "2030-03-01T20:00:00Z"}) == ["Opera"]
    assert await find(world, organization=second.slug) == ["Opera", "Open air"]
    assert await find(world, organization=first.id) == ["100% Jazz_Night"]
    assert await find(world, organization="nobody") == []
    assert await find(world, q="", city="") == await find(world)


async def test_the_search_ignores_the_case_of_non_english_letters(world: World) -> None:
    await world.show(seats=0, capacity=1, title="Élan vital à Liège")
    assert len(await find(world, q="éLAN VITAL À LIÈGE")) == 1


@pytest.mark.parametrize(("words", "hits"), [("%", 1), ("_", 1), ("0% J", 1), ("z_N", 1), ("J__z", 0), ("\\", 0)])
async def test_wildcards_in_a_search_are_literal(world: World, words: str, hits: int) -> None:
    await world.show(seats=0, capacity=1, title="100% Jazz_Night")
    await world.show(seats=0, capacity=1, title="Opera")
    assert len(await find(world, q=words)) == hits


async def test_pages_neither_skip_nor_repeat_events_of_one_time(world: World) -> None:
    tenant = await world.tenant()
    for number in range(5):
        await world.show(tenant, seats=0, capacity=1, title=str(number))
    for sort, expected in (("starts_at", "01234"), ("-starts_at", "43210"), ("relevance", "01234")):
        # The first page comes from memory, and the others from the database.
        titles, page = "", {"sort": sort, "limit": "2"}
        while page.get("cursor", "") is not None:
            answer = await world.client.get(f"{API}/events", params=page)
            titles += "".join(event["title"] for event in data(answer))
            page["cursor"] = answer.json()["meta"]["next_cursor"]
        assert titles == expected


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"sort": "title"}, "sort"),
        ({"from": "yesterday"}, "from"),
        ({"to": "2030-01-01"}, "to"),
        ({"q": "x" * 201}, "q"),
        ({"q": "\x00"}, "q"),
        ({"limit": 101}, "limit"),
        ({"limit": 0}, "limit"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "WyJzdGFydHNfYXQiLCJub3ciLCJtZSJd"}, "cursor"),
    ],
)
async def test_an_invalid_search_is_refused_with_the_field(world: World, query: dict[str, Any], field: str) -> None:
    assert refusal(await world.client.get(f"{API}/events", params=query), 422)["field"] == field


async def test_a_cursor_of_another_sort_order_is_refused(world: World) -> None:
    tenant = await world.tenant()
    for _ in range(2):
        await world.show(tenant, seats=0, capacity=1)
    answer = await world.client.get(f"{API}/events", params={"limit": 1})
    cursor = answer.json()["meta"]["next_cursor"]
    answer = await world.client.get(f"{API}/events", params={"cursor": cursor, "sort": "-starts_at"})
    assert refusal(answer, 422)["field"] == "cursor"


async def test_a_longer_page_takes_no_more_queries(world: World, app: Any) -> None:
    tenant = await world.tenant()
    for _ in range(4):
        await world.show(tenant, rows=1, seats=1, capacity=1)
    counts = []
    for limit in (1, 4):
        with recorded_statements(app.state.get(Database)) as statements:
            assert len(data(await world.client.get(f"{API}/events", params={"limit": limit}))) == limit
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 7


async def test_seats_are_listed_with_their_status_and_price(world: World, database: Database) -> None:
    show = await world.show(rows=2, seats=2)
    stage, buyer = Stage(database, show), uuid4()
    await stage.take(show.labels[:1], buyer)
    await stage.sell(buyer, [0])
    await stage.take(show.labels[1:2])
    await stage.take(show.labels[2:3], uuid4(), EARLIER)
    path = f"{API}/events/{show.id}/seats"
    seats = data(await world.client.get(path))
    assert [seat["status"] for seat in seats] == ["sold", "held", "available", "available"]
    second = {"number": 1, "label": "Stalls-A-2", "section": "Stalls", "row": "A", "seat": "2", "category": "Stalls"}
    price = {"amount": 4500, "currency": "EUR", "digits": 2}
    kept = {key: seats[1][key] for key in second}
    assert (kept, seats[1]["price"], seats[1]["version"]) == (second, price, 1)
    assert [seat["number"] for seat in data(await world.client.get(path, params={"status": "available"}))] == [2, 3]
    assert len(data(await world.client.get(path, params={"section": "Stalls"}))) == 4
    assert data(await world.client.get(path, params={"section": "Balcony"})) == []
    assert refusal(await world.client.get(path, params={"status": "free"}), 422)["field"] == "status"
    assert refusal(await world.client.get(path, params={"section": "\x00"}), 422)["field"] == "section"


async def test_pages_of_seats_follow_the_cursor_within_their_filters(world: World, database: Database) -> None:
    show = await world.show(rows=2, seats=3)
    stage = Stage(database, show)
    await stage.take(show.labels[1:5:3])
    path = f"{API}/events/{show.id}/seats"
    found: list[int] = []
    query: dict[str, Any] = {"status": "available", "section": "Stalls", "limit": "2"}
    while query.get("cursor", "") is not None:
        answer = await world.client.get(path, params=query)
        found += [seat["number"] for seat in data(answer)]
        query["cursor"] = answer.json()["meta"]["next_cursor"]
    assert found == [0, 2, 3, 5]
    del query["section"], query["cursor"]
    first = await world.client.get(path, params=query)
    later = await world.client.get(path, params={**query, "cursor": first.json()["meta"]["next_cursor"]})
    assert [seat["number"] for seat in [*data(first), *data(later)]] == found


async def test_a_map_is_read_in_chunks_and_sent_in_pieces(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "CHUNK_SEATS", 4)
    monkeypatch.setattr(layout, "PIECE_BYTES", 100)
    show = await world.show(rows=3, seats=3)
    path = f"{API}/events/{show.id}/seatmap"
    plain = await world.client.get(path, headers={"Accept-Encoding": "identity"})
    assert [seat["label"] for seat in data(plain)["seats"]] == show.labels
    assert (await world.client.get(path, headers={"Accept-Encoding": "gzip"})).json() == plain.json()


async def test_an_event_without_seats_has_an_empty_list_and_map(world: World) -> None:
    show = await world.show(seats=0, capacity=1)
    assert data(await world.client.get(f"{API}/events/{show.id}/seats")) == []
    answer = await world.client.get(f"{API}/events/{show.id}/seatmap")
    assert data(answer)["seats"] == []
    assert "immutable" not in answer.headers["Cache-Control"]


async def test_an_unchanged_map_is_a_304_by_its_etag(world: World) -> None:
    show = await world.show(rows=2, seats=3)
    path = f"{API}/events/{show.id}/seatmap"
    answer = await world.client.get(path, headers={"Accept-Encoding": "identity"})
    assert set(data(answer)) == {"plan_version", "width", "height", "seats", "categories", "areas"}
    assert "status" not in data(answer)["seats"][0]
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "Content-Encoding" not in answer.headers
    for tag in (answer.headers["ETag"], "*", f'"other", {answer.headers["ETag"]}'):
        known = await world.client.get(path, headers={"If-None-Match": tag})
        assert (known.status_code, known.content) == (304, b"")
        assert known.headers["ETag"] == answer.headers["ETag"]
    other = await world.client.get(path, headers={"If-None-Match": '"other"', "Accept-Encoding": "gzip"})
    assert other.headers["Content-Encoding"] == "gzip"
    assert other.json() == answer.json()


async def test_the_map_of_a_draft_stays_out_of_shared_caches(world: World) -> None:
    show = await world.show(publish=False)
    answer = await show.tenant.admin.get(f"/events/{show.id}/seatmap")
    assert answer.headers["Cache-Control"].startswith("private")


async def test_a_cancelled_draft_stays_hidden(world: World) -> None:
    show, buyer = await world.show(publish=False), await world.person()
    data(await show.tenant.admin.post(show.path("/cancel")))
    for path in ("", "/seats", "/seatmap", "/availability"):
        refusal(await buyer.get(f"/events/{show.id}{path}"), 404)
        data(await show.tenant.admin.get(f"/events/{show.id}{path}"))
    refusal(await buyer.post("/reservations", {"event_id": show.id, "seats": ["Stalls-A-1"]}), 404)
