"""The search of events: accents, case, scripts, typing errors, and the order of what it finds."""

from typing import Any

import pytest
from fastapi import FastAPI

from tests.modules.payments.purchases import run
from tests.support.world import API, Tenant, World, data, refusal
from ticketing.modules.events import matching

TITLES = (
    "The Winter's Tale",
    "Herr Müller geht ins Theater",
    "Łódź Ørsted Straße",
    "東京ドーム公演",
    "서울국립극장",
    "Ζορμπάς ο Έλληνας",  # noqa: RUF001
    "İstanbul Işık",  # noqa: RUF001
    "Ёлка",
    "100% Rock’n’Roll",  # noqa: RUF001
    "Hamlet",
    "Hamlet, the ballet",
    "A night with Hamlet",
    "Tour 2027",
)


@pytest.fixture
async def tenant(world: World) -> Tenant:
    """With one event per title, the latest first in time."""
    tenant = await world.tenant()
    for number, title in enumerate(TITLES):
        await publish(tenant, title, f"20{90 - number}-05-01T19:30:00Z")
    return tenant


async def publish(tenant: Tenant, title: str, starts_at: str, **fields: Any) -> str:
    body = {"title": title, "starts_at": starts_at, "currency": "EUR", "timezone": "UTC", **fields}
    event = data(await tenant.admin.post(tenant.path("/events"), body), 201)
    price = {"name": "Entry", "price": 100, "capacity": 5}
    data(await tenant.admin.post(tenant.path(f"/events/{event['id']}/ticket-types"), price), 201)
    data(await tenant.admin.post(tenant.path(f"/events/{event['id']}/publish")))
    return str(event["id"])


async def find(world: World, q: str, **params: str) -> list[str]:
    found = data(await world.client.get(f"{API}/events", params={"q": q, **params}))
    return [event["title"] for event in found]


FOUND = {
    "The Winter's Tale": (
        "winter tale",
        "WINTERS",
        "winter\u2019s tale",
        "tale winter",
        "wintre tale",
        "winter tlae",
        "tale",
    ),
    "Herr Müller geht ins Theater": ("muller", "MÜLLER", "mu\u0308ller", "mueller", "mullr", "theatre", "h"),
    "Łódź Ørsted Straße": ("lodz", "orsted", "strasse", "STRASSE", "straße", "STRA\u1e9eE"),
    "東京ドーム公演": ("東京", "京", "公演", "東京 公演", "ドーム"),
    "서울국립극장": ("극장", "서울", "서울국립극장"),
    "Ζορμπάς ο Έλληνας": ("ζορμπας", "ΖΟΡΜΠΑΣ", "ελληνας", "ελλ"),  # noqa: RUF001
    "İstanbul Işık": ("istanbul", "ISTANBUL", "ışık", "isik", "IŞIK", "is"),  # noqa: RUF001
    "Ёлка": ("елка", "ёлка", "ЕЛКА"),
    "100% Rock’n’Roll": ("rock'n'roll", "rocknroll", "100%", "0% r"),  # noqa: RUF001
    "Tour 2027": ("2027", "tuor 2027"),
}


async def test_events_are_found_in_any_case_without_accents_and_with_typing_errors(
    world: World, tenant: Tenant
) -> None:
    missed = [(title, q) for title, asked in FOUND.items() for q in asked if title not in await find(world, q)]
    assert missed == []
    # Nothing that has little to do with it, and no other number.
    wrong = {q: await find(world, q) for q in ("hammer", "2026", "tokyo", "'", "%_%", "xyzzy", "Tour 2028", "京東")}
    assert {q: titles for q, titles in wrong.items() if titles} == {}


async def test_exact_titles_come_before_beginnings_and_similar_ones(world: World, tenant: Tenant) -> None:
    await publish(tenant, "Hamelt", "2031-01-01T19:30:00Z")
    expected = ["Hamlet", "Hamlet, the ballet", "A night with Hamlet", "Hamelt"]
    assert await find(world, "hamlet") == expected
    assert await find(world, "HAMLET", sort="relevance") == expected
    by_time = ["Hamelt", "A night with Hamlet", "Hamlet, the ballet", "Hamlet"]
    assert await find(world, "hamlet", sort="starts_at") == by_time
    assert await find(world, "hamlet", sort="-starts_at") == by_time[::-1]
    assert await find(world, "hamlet", to="2080-01-01T00:00:00Z") == ["A night with Hamlet", "Hamelt"]
    seen, cursor = list[str](), ""
    while cursor is not None:
        answer = await world.client.get(f"{API}/events", params={"q": "hamlet", "limit": 1, "cursor": cursor})
        seen += [event["title"] for event in data(answer)]
        cursor = answer.json()["meta"]["next_cursor"]
        wrong = {"q": "hamlet", "cursor": cursor or "WyJyZWxldmFuY2UiLDEsMiwiYSJd", "sort": "starts_at"}
        assert refusal(await world.client.get(f"{API}/events", params=wrong), 422)["field"] == "cursor"
    assert seen == expected


async def test_a_search_that_many_events_match_comes_by_time(
    world: World, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "MATCHES_MAX", 2)
    expected = ["A night with Hamlet", "Hamlet, the ballet", "Hamlet"]
    assert await find(world, "hamlet") == expected
    answer = await world.client.get(f"{API}/events", params={"q": "hamlet", "limit": 2})
    cursor = answer.json()["meta"]["next_cursor"]
    assert [*[event["title"] for event in data(answer)], *await find(world, "hamlet", cursor=cursor)] == expected


async def test_the_start_page_searches_by_the_same_rule(world: World, tenant: Tenant) -> None:
    for q in ("muller", "mullr"):
        page = (await world.client.get("/", params={"q": q})).text
        assert "Herr Müller" in page
        assert "Hamlet" not in page
    assert "No event matches" in (await world.client.get("/", params={"q": "\u200b"})).text


async def test_what_is_searched_follows_title_and_venue(app: FastAPI, world: World) -> None:
    tenant = await world.tenant()
    show = await world.show(tenant, rows=1, seats=1, title="Opera")
    (city,) = {event["venue"]["city"] for event in data(await world.client.get(f"{API}/events"))}
    assert await find(world, f"opera {city}") == ["Opera"]
    data(await tenant.admin.patch(show.path(), {"title": "Zauberflöte"}))
    assert (await find(world, "opera"), await find(world, "zauberflote")) == ([], ["Zauberflöte"])
    await run(app, "update venues set city = 'Zürich'")
    assert (await find(world, "zurich"), await find(world, "flote", city="ZURICH")) == (["Zauberflöte"],) * 2
    await run(app, "update events set search_text = ''")
    await run(app, "update events set title = title")
    assert await find(world, "zurich") == ["Zauberflöte"]


async def test_drafts_are_never_found(world: World) -> None:
    tenant = await world.tenant()
    body = {"title": "Secret", "starts_at": "2090-05-01T19:30:00Z", "currency": "EUR", "timezone": "UTC"}
    data(await tenant.admin.post(tenant.path("/events"), body), 201)
    assert (await find(world, "secret"), await find(world, "secert")) == ([], [])
