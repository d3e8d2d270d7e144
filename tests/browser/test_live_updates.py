"""Live updates of the event page: expired holds, and a lost and restored connection."""

import re

from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.support.world import World


async def test_an_expired_hold_frees_its_seat(visit: Visit, world: World) -> None:
    show, ada = await world.show(rows=1, seats=4, hold_seconds=7), await world.person("ada")
    buyer, watcher = await visit(), await visit()
    await buyer.log_in(ada)
    await buyer.open_event(show.id)
    await watcher.open_event(show.id)
    await buyer.seat("Stalls-A-2").click()
    await buyer.by("hold-button").click()
    await expect(buyer.by("countdown")).to_have_attribute("data-left", re.compile("^[1-7]$"))
    await watcher.expect_status("Stalls-A-2", "held")

    await expect(buyer.by("notice")).to_contain_text("Your hold ran out.")
    await expect(buyer.by("notice")).to_contain_text("No money was taken.")
    await buyer.screenshot("hold-ran-out")
    await buyer.expect_status("Stalls-A-2", "available")
    await watcher.expect_status("Stalls-A-2", "available")
    await buyer.by("try-again").click()
    await buyer.expect_status("Stalls-A-2", "mine")
    await buyer.by("hold-button").click()
    await expect(buyer.by("held-item")).to_have_count(1)


async def test_a_lost_connection_is_shown_and_restored(visit: Visit, world: World) -> None:
    show, other = await world.show(rows=1, seats=4), await world.person("other")
    visitor = await visit()
    visitor.expected.append("net::ERR_INTERNET_DISCONNECTED")
    await visitor.open_event(show.id)
    await visitor.seat("Stalls-A-1").click()
    await visitor.context.set_offline(True)
    bar = visitor.by("connection-bar")
    await expect(bar).to_have_attribute("data-state", "lost")
    await expect(bar).to_be_visible()
    await expect(visitor.by("hold-button")).to_be_disabled()
    await visitor.screenshot("connection-lost")

    # Changes while the connection is lost are shown after it is restored.
    await world.buy(other, show, "Stalls-A-2")
    await world.hold(other, show, "Stalls-A-3")
    await visitor.context.set_offline(False)
    await visitor.expect_status("Stalls-A-2", "sold")
    await visitor.expect_status("Stalls-A-3", "held")
    await visitor.expect_status("Stalls-A-1", "mine")
    await expect(bar).to_have_attribute("data-state", "live")
    await expect(bar).to_be_hidden()
    await expect(visitor.by("hold-button")).to_be_enabled()
