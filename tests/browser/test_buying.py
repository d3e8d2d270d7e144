"""A purchase in the browser: seats are picked, held and paid, and other buyers see their status change."""

from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.support.world import World, data


async def test_two_browsers_want_one_seat(visit: Visit, world: World) -> None:
    show, ada = await world.show(rows=1, seats=6), await world.person("ada")
    first, second = await visit(), await visit()
    for visitor in (first, second):
        await visitor.open_event(show.id)
        await visitor.seat("Stalls-A-3").click()
        await visitor.expect_status("Stalls-A-3", "mine")

    # A hold requires a session: the log-in dialog opens, and the seat stays picked.
    await first.by("hold-button").click()
    await expect(first.by("login-dialog")).to_be_visible()
    await first.submit_log_in(ada)
    await expect(first.by("held-item")).to_have_attribute("data-seat", "Stalls-A-3")
    await expect(first.by("countdown")).to_be_visible()

    # The other buyer is notified at once, is offered adjacent seats, and cannot pick the held seat.
    await second.expect_status("Stalls-A-3", "held")
    await expect(second.by("notice")).to_contain_text("A-3 went to someone else a moment ago.")
    await second.screenshot("lost-seat")
    await second.by("take-neighbours").click()
    await expect(second.by("picked-seat")).to_have_count(1)
    await expect(second.seat("Stalls-A-3")).to_have_attribute("aria-disabled", "true")
    await second.seat("Stalls-A-3").click(force=True)
    await expect(second.by("notice")).to_contain_text("is held by someone right now")
    await expect(second.by("picked-seat")).not_to_have_attribute("data-picked", "Stalls-A-3")

    reference = await first.pay()
    await expect(first.by("order-status")).to_have_attribute("data-status", "paid")
    await expect(first.by("order-reference")).to_have_text(reference)
    await expect(first.by("ticket")).to_have_attribute("data-seat", "Stalls-A-3")
    await first.expect_qr_codes(1)
    await second.expect_status("Stalls-A-3", "sold")
    assert data(await ada.get("/me/tickets"))[0]["seat"] == "Stalls-A-3"


async def test_general_admission_tickets_are_bought(visit: Visit, world: World) -> None:
    show, ada = await world.show(seats=0, capacity=50, area_price=2500), await world.person("ada")
    visitor = await visit()
    await visitor.log_in(ada)
    await visitor.open_event(show.id)
    for quantity in ("1", "2"):
        await visitor.by("ga-plus").click()
        await expect(visitor.by("ga-quantity")).to_have_text(quantity)
    await expect(visitor.by("total")).to_have_text("€50.00")
    await visitor.by("hold-button").click()
    await expect(visitor.by("held-item")).to_contain_text("2 \u00d7 Standing")
    await visitor.pay()
    await visitor.expect_qr_codes(2)
    assert data(await world.client.get(f"/api/v1/events/{show.id}"))["availability"]["available"] == 48


async def test_a_declined_payment_can_be_retried(visit: Visit, world: World) -> None:
    show, ada = await world.show(rows=1, seats=2), await world.person("ada")
    visitor = await visit()
    await visitor.log_in(ada)
    await visitor.open_event(show.id)
    await visitor.seat("Stalls-A-1").click()
    await visitor.by("hold-button").click()
    await visitor.by("pay-button").click()
    await visitor.page.locator("button[value=decline]").click()
    await expect(visitor.by("order-status")).to_have_attribute("data-status", "pending")
    await visitor.by("pay-again").click()
    await visitor.page.locator("button[value=pay]").click()
    await expect(visitor.by("order-status")).to_have_attribute("data-status", "paid")
    await visitor.expect_qr_codes(1)


async def test_the_limit_per_person_shows_how_many_are_left(visit: Visit, world: World) -> None:
    show, ada = await world.show(rows=1, seats=8, max_per_buyer=4), await world.person("ada")
    await world.buy(ada, show, "Stalls-A-1", "Stalls-A-2", "Stalls-A-3")
    visitor = await visit()
    visitor.expected.append("422")
    await visitor.log_in(ada)
    await visitor.open_event(show.id)
    for seat in ("Stalls-A-5", "Stalls-A-6"):
        await visitor.seat(seat).click()
    await visitor.by("hold-button").click()
    words = "One person may have 4 tickets for this event, over all orders. You can have 1 more. Nothing was held."
    await expect(visitor.by("notice")).to_contain_text(words)
    await visitor.seat("Stalls-A-6").click()
    await visitor.by("hold-button").click()
    await expect(visitor.by("held-item")).to_have_count(1)
