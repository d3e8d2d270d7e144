"""What the page of an event says of its sale, as it changes; and what pages say while the API is down."""

import json
from datetime import UTC, datetime, timedelta

from playwright.async_api import Route, expect

from tests.browser.axe import assert_accessible
from tests.browser.conftest import Visit
from tests.support.world import API, World

#: From the load of the page to the start of the sale; long enough to look at it before.
UNTIL_SALE = timedelta(seconds=4)


async def test_a_sale_that_has_not_begun_counts_down_and_opens_by_itself(visit: Visit, world: World) -> None:
    later = await world.show(rows=1, seats=4, capacity=5, sales_start_at="2029-12-31T23:30:00Z")
    visitor = await visit()
    await visitor.open_event(later.id)
    closed = visitor.by("closed")
    await expect(closed).to_contain_text("The sale begins on Tuesday, 1 January 2030 at 00:30.")
    await expect(visitor.by("sale-countdown")).to_contain_text("days")
    await expect(visitor.by("hold-button")).to_have_count(0)
    await expect(visitor.by("best-button")).to_have_count(0)
    await expect(visitor.by("ga-plus")).to_be_disabled()
    await visitor.seat("Stalls-A-1").click()
    await expect(visitor.by("notice")).to_contain_text("The sale begins on")
    await expect(visitor.by("picked-seat")).to_have_count(0)
    async with visitor.page.expect_download() as saved:
        await visitor.by("sale-calendar").click()
    assert (await saved.value).suggested_filename == "sale.ics"
    await assert_accessible(visitor.page)
    await visitor.screenshot("not-yet")

    async def begin_soon(route: Route) -> None:
        answer = await route.fetch()
        body = await answer.json()
        body["data"]["sales_start_at"] = (datetime.now(UTC) + UNTIL_SALE).isoformat()
        await route.fulfill(response=answer, body=json.dumps(body))

    await visitor.page.route(f"**{API}/events/{later.id}", begin_soon)
    await visitor.page.reload()
    await expect(closed).to_be_visible()
    await expect(closed).to_be_hidden()
    await visitor.seat("Stalls-A-1").click()
    await expect(visitor.by("hold-button")).to_be_enabled()


async def test_only_what_can_come_back_is_promised(visit: Visit, world: World) -> None:
    show, other = await world.show(rows=1, seats=1, capacity=1), await world.person("other")
    places = [{"ticket_type_id": show.area_type_id, "quantity": 1}]
    visitor = await visit()
    await visitor.open_event(show.id)
    closed = visitor.by("closed")
    await expect(closed).to_be_hidden()
    held = await world.hold(other, show, *show.labels)
    await world.buy(other, show, items=places)
    await expect(closed).to_contain_text("What others hold and do not pay for comes back")
    await other.delete(f"/reservations/{held['id']}")
    await expect(closed).to_be_hidden()
    await world.buy(other, show, *show.labels)
    await expect(closed).to_have_text("This event is sold out.")
    await expect(visitor.by("hold-button")).to_have_count(0)
    await visitor.page.reload()
    await expect(closed).to_have_text("This event is sold out.")


async def test_an_unavailable_api_is_reported_with_retry(visit: Visit, world: World) -> None:
    show, ada = await world.show(rows=1, seats=4), await world.person("ada")
    order = await world.buy(ada, show, "Stalls-A-1")
    visitor = await visit()
    await visitor.log_in(ada)
    visitor.expected += ["500", "net::ERR_FAILED"]
    every = f"**{API}/**"
    for path, content in (("/", "event-card"), (f"/o/{order['reference']}", "ticket")):
        await visitor.page.route(every, lambda route: route.fulfill(status=500, body="{}"))
        await visitor.open(path)
        await expect(visitor.by("load-failure")).to_contain_text("could not be loaded")
        await visitor.page.unroute(every)
        await visitor.by("retry").click()
        await expect(visitor.by(content).first).to_be_visible()
        await expect(visitor.by("load-failure")).to_have_count(0)

    await visitor.page.route(every, lambda route: route.abort())
    await visitor.open(f"/e/{show.id}")
    await expect(visitor.by("waiting")).to_contain_text("keeps trying")
    await expect(visitor.by("load-failure")).to_contain_text("There is no connection to the server.")
    await expect(visitor.by("waiting")).to_be_empty()
    # What the server has rendered can be read meanwhile.
    await expect(visitor.by("event-facts")).to_be_visible()
    await assert_accessible(visitor.page)
    await visitor.page.unroute(every)
    await visitor.by("retry").click()
    await visitor.expect_status("Stalls-A-2", "available")
