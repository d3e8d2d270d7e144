"""Pages that are readable without JavaScript: the event list and one event; and the 404 page."""

from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.support.world import World

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
    for text in ("Quiet evening", "Saturday, 1 June 2030 at 21:00 (Amsterdam time)", "Hall, Utrecht", "Bring a book."):
        await expect(page).to_contain_text(text)
    for text in ("€45.00", "€25.00", "50 of 50 left"):
        await expect(page).to_contain_text(text)
    assert "needs JavaScript" in await page.inner_text()


async def test_an_unknown_path_shows_the_404_page(visit: Visit) -> None:
    visitor = await visit()
    visitor.expected.append("404")
    for path in ("/nowhere", f"/e/{UNKNOWN}"):
        await visitor.open(path)
        await expect(visitor.by("not-found")).to_contain_text("There is nothing at this address")
