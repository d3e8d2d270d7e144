"""Pages that are readable without JavaScript: the event list and one event; and the 404 page."""

from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.support.world import World
from ticketing.web.shell import SCRIPT_PAGES

UNKNOWN = "01900000-0000-7000-8000-000000000000"


async def test_events_are_readable_without_javascript(visit: Visit, world: World) -> None:
    show = await world.show(title="Quiet evening", rows=2, seats=10, capacity=30, description="Bring a book.")
    visitor = await visit(java_script_enabled=False)
    # The browser's warning about scripts that it does not run.
    visitor.expected.append(" csp")
    await visitor.open("/?q=quiet")
    card = visitor.page.locator(f'[data-testid="event-card"][href="/e/{show.id}"]')
    await expect(card).to_contain_text("Quiet evening")
    await expect(card).to_contain_text("Hall, Utrecht")
    await expect(card).to_contain_text("from €25.00")
    await card.click()
    page = visitor.by("event-facts")
    for text in (
        "Quiet evening",
        "Saturday, 1 June 2030 at 21:00 (Amsterdam time)",
        "Hall, Utrecht",
        "by Tenant",
        "Bring a book.",
    ):
        await expect(page).to_contain_text(text)
    for text in ("€45.00", "€25.00", "50 of 50 left"):
        await expect(page).to_contain_text(text)
    assert "needs JavaScript" in await page.inner_text()


async def test_the_script_shows_what_the_server_has_rendered(visit: Visit, world: World) -> None:
    """The same words and formats in the same order, for a reader in another time zone."""
    description = "Bring a book."
    show = await world.show(title="Quiet evening", seats=6, capacity=30, description=description, area_price=0)
    closed = await world.show(show.tenant, title="Later evening", capacity=30, sales_start_at="2029-12-31T23:30:00Z")
    reader, scripted = await visit(java_script_enabled=False), await visit(timezone_id="America/New_York")
    reader.expected.append(" csp")
    for event in (show, closed):
        await reader.open(f"/e/{event.id}")
        await scripted.open_event(event.id)
        for selector in (
            ".event-head h1",
            ".event-head .facts span",
            ".event-head .about",
            ".closed:visible > p:first-child",
        ):
            texts = await reader.page.locator(selector).all_inner_texts()
            await expect(scripted.page.locator(selector)).to_have_text(texts)
        for text in ("Stalls", "12 left" if event is show else "20 left", "€45.00", "Standing", "30 left"):
            await expect(reader.by("event-facts")).to_contain_text(text)
            await expect(scripted.by("panel")).to_contain_text(text)
    for visitor in (reader, scripted):
        await visitor.open("/?q=evening")
    await expect(scripted.page.locator("main[data-ready]")).to_be_visible()
    for part in (".card-title", ".card-body > .muted", ".date-block", ".card-foot strong", ".card-left"):
        texts = await reader.page.locator(part).all_text_contents()
        await expect(scripted.page.locator(part)).to_have_text(texts)


async def test_every_page_says_what_it_needs_without_javascript(visit: Visit) -> None:
    visitor = await visit(java_script_enabled=False)
    visitor.expected.append(" csp")
    for path, page in SCRIPT_PAGES.items():
        await visitor.open(path.format(reference="7F3K-9QXM"))
        await expect(visitor.page.locator("h1")).to_have_text(page.title)
        await expect(visitor.by("need")).to_contain_text("needs JavaScript")


async def test_an_unknown_path_shows_the_404_page(visit: Visit) -> None:
    visitor = await visit()
    visitor.expected.append("404")
    for path in ("/nowhere", f"/e/{UNKNOWN}"):
        await visitor.open(path)
        await expect(visitor.by("not-found")).to_contain_text("There is nothing at this address")
