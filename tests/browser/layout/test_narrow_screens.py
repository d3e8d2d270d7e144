"""No page scrolls sideways on the narrowest phones, even where every text is long and has no space."""

from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor
from tests.support.world import Show, World, data

LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
WIDTHS = (320, 360)
#: Elements that stick out of the window; those in a box that scrolls by itself do not widen the page.
SIDEWAYS = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
STICKING_OUT = """() => [...document.querySelectorAll('main *, header *')]
  .filter((node) => node.getBoundingClientRect().right > innerWidth + 1)
  .map((node) => `${node.tagName}.${node.className}`).slice(0, 8)"""


async def assert_no_sideways_scroll(visitor: Visitor, name: str) -> None:
    for width in WIDTHS:
        await visitor.page.set_viewport_size({"width": width, "height": 640})
        excess = await visitor.page.evaluate(SIDEWAYS)
        assert excess <= 0, f"{name} at {width} px: {excess} px, by {await visitor.page.evaluate(STICKING_OUT)}"


async def open_ready(visitor: Visitor, path: str) -> None:
    await visitor.open(path)
    await expect(visitor.page.locator("main[data-ready]")).to_be_attached()


async def create_long_names(world: World) -> Show:
    """An event with seats and places, where everything that an organizer writes is long."""
    tenant = await world.tenant()
    admin = tenant.admin
    data(await admin.patch(tenant.path(), {"name": LONG, "slug": tenant.slug}))
    section = {"name": LONG[:40], "category": LONG[:40], "rows": [{"name": "A", "seats": 40}]}
    body = {"name": LONG, "city": LONG, "country": "NL", "timezone": "Europe/Amsterdam", "sections": [section]}
    venue = data(await admin.post(tenant.path("/venues"), body), 201)
    show = await world.show(
        tenant, title=LONG, seats=0, capacity=5, publish=False, venue_id=venue["id"], description=LONG * 3
    )
    priced = {"name": LONG, "price": 10**9, "categories": [LONG[:40]]}
    data(await admin.post(show.path("/ticket-types"), priced), 201)
    data(await admin.post(show.path("/ticket-types"), {"name": f"{LONG}2", "price": 10**9, "capacity": 9000}), 201)
    data(await admin.post(show.path("/seats/sync")))
    data(await admin.post(show.path("/publish")))
    return show


async def test_no_page_scrolls_sideways(visit: Visit, world: World) -> None:
    show = await create_long_names(world)
    ada = show.tenant.admin
    order = await world.buy(ada, show, items=[{"ticket_type_id": show.area_type_id, "quantity": 2}])
    held = await world.hold(ada, show, items=[{"ticket_type_id": show.area_type_id, "quantity": 1}])
    declined = await world.order(ada, held)
    payment = await world.payment(ada, declined)
    data(await world.webhook("payment.failed", payment))
    later = await world.show(show.tenant, title=LONG, seats=0, capacity=5, sales_start_at="2030-01-01T00:00:00Z")
    draft = await world.show(show.tenant, title=LONG, seats=0, capacity=5, publish=False)

    reader = await visit(java_script_enabled=False)
    reader.expected.append(" csp")
    for path in ("/", f"/e/{show.id}", f"/e/{later.id}", "/me"):
        await reader.open(path)
        await assert_no_sideways_scroll(reader, f"{path}, without JavaScript")

    visitor = await visit(viewport={"width": 320, "height": 640})
    visitor.expected.append("404")
    account = [f"/account/{page}#x" for page in ("verify", "reset")]
    for path in ("/", f"/e/{show.id}", f"/e/{later.id}", f"/o/{order['reference']}", "/login", *account, "/nowhere"):
        await open_ready(visitor, path)
        await assert_no_sideways_scroll(visitor, path)
    await visitor.log_in(ada)
    orders = (f"/o/{order['reference']}", f"/o/{declined['reference']}")
    pay = payment["checkout_url"].removeprefix(visitor.url)
    for path in ("/", f"/e/{show.id}", f"/e/{draft.id}", *orders, "/me", "/console", "/door", pay):
        await (visitor.open(path) if path == pay else open_ready(visitor, path))
        if path == "/console":
            await expect(visitor.by("console-event").first).to_be_visible()
        await assert_no_sideways_scroll(visitor, f"{path}, logged in")
