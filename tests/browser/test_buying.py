"""A purchase in the browser: seats are picked, held and paid, and other buyers see their status change."""

import re

from playwright.async_api import expect

from tests.browser.axe import assert_accessible
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
    await expect(visitor.by("order-status")).to_have_text("Your payment was declined")
    await expect(visitor.by("order")).to_contain_text("No money was taken, and your order is still open.")
    await expect(visitor.by("payment-ways")).to_contain_text("Held for you: Stalls-A-1.")
    await expect(visitor.by("countdown")).to_have_attribute("data-left", re.compile(r"^[1-9]\d*$"))
    for way in ("pay-again", "pay-otherwise", "let-go"):
        await expect(visitor.by(way)).to_be_enabled()
    await assert_accessible(visitor.page)
    await visitor.screenshot("declined")
    await visitor.by("pay-again").click()
    await visitor.page.locator("button[value=pay]").click()
    await expect(visitor.by("order-status")).to_have_attribute("data-status", "paid")
    await visitor.expect_qr_codes(1)


async def test_a_hold_let_go_in_one_tab_is_gone_in_the_others(visit: Visit, world: World) -> None:
    show, ada = await world.show(rows=1, seats=2, capacity=5), await world.person("ada")
    one = await visit()
    await one.log_in(ada)
    other, mine = await one.open_tab(), await one.open_tab()
    await other.open_event(show.id)
    await mine.open("/me")
    await one.open_event(show.id)
    await one.by("ga-plus").click()
    await one.by("hold-button").click()
    # Made in one tab, it is held in all.
    await expect(other.by("held-item")).to_contain_text("Standing")
    await expect(mine.by("my-hold")).to_be_visible()
    await one.by("release-button").click()
    await expect(other.by("notice")).to_contain_text("You let these go in another window.")
    await expect(other.by("hold-button")).to_be_visible()
    await expect(mine.by("my-hold")).to_have_count(0)

    # Likewise from the page of an order whose payment was declined.
    await other.seat("Stalls-A-1").click()
    await other.by("hold-button").click()
    await expect(one.by("held-item")).to_have_attribute("data-seat", "Stalls-A-1")
    await other.by("pay-button").click()
    await other.page.locator("button[value=decline]").click()
    await other.by("let-go").click()
    await expect(other.by("order-status")).to_have_attribute("data-status", "cancelled")
    await expect(one.by("hold-button")).to_be_visible()
    await one.expect_status("Stalls-A-1", "available")


async def test_a_reload_keeps_the_picks(visit: Visit, world: World) -> None:
    show, other = await world.show(rows=1, seats=4, capacity=5), await world.person("other")
    visitor = await visit()
    await visitor.open_event(show.id)
    for seat in ("Stalls-A-1", "Stalls-A-3"):
        await visitor.seat(seat).click()
    await visitor.by("ga-plus").click()
    await expect(visitor.by("total")).to_have_text("€115.00")
    await visitor.page.reload()
    await expect(visitor.by("picked-seat")).to_have_count(2)
    await expect(visitor.by("ga-quantity")).to_have_text("1")
    await visitor.expect_status("Stalls-A-3", "mine")
    # What was sold meanwhile is dropped, and said to be.
    await visitor.open("/")
    await world.buy(other, show, "Stalls-A-3")
    await visitor.open_event(show.id)
    await expect(visitor.by("notice")).to_contain_text("A-3 went to someone else")
    await expect(visitor.by("picked-seat")).to_have_attribute("data-picked", "Stalls-A-1")
    await expect(visitor.by("total")).to_have_text("€70.00")


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
