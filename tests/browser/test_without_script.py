"""What must be readable without script: the list of events, and one event's facts."""

from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.world import World

UNKNOWN = "01900000-0000-7000-8000-000000000000"


async def test_the_facts_are_there_without_script(visit: Visit, world: World) -> None:
    show = await world.show(title="Quiet evening", rows=2, seats=10, capacity=30, description="Bring a book.")
    visitor = await visit(java_script_enabled=False)
    # This is how the browser says that it leaves out our scripts.
    visitor.expected.append(" csp")
    await visitor.open("/?q=quiet")
    card = visitor.page.locator(f'[data-testid="event-card"][href="/e/{show.id}"]')
    await expect(card).to_contain_text("Quiet evening")
    await expect(card).to_contain_text("Hall, Utrecht")
    await expect(card).to_contain_text("from EUR 25.00")
    await card.click()
    facts = visitor.by("event-facts")
    for words in ("Quiet evening", "Saturday, 01 June 2030, 21:00", "Hall, Utrecht", "Bring a book."):
        await expect(facts).to_contain_text(words)
    for words in ("EUR 45.00", "EUR 25.00", "50 of 50 left"):
        await expect(facts).to_contain_text(words)
    assert "needs JavaScript" in await facts.inner_text()


async def test_an_address_that_leads_nowhere_says_so_kindly(visit: Visit) -> None:
    visitor = await visit()
    visitor.expected.append("404")
    for path in ("/nowhere", f"/e/{UNKNOWN}"):
        await visitor.open(path)
        await expect(visitor.by("not-found")).to_contain_text("There is nothing at this address")
