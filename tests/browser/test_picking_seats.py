"""Picking seats on the map with mouse, touch and keyboard."""

import re
from itertools import product
from math import hypot

from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor
from tests.support.world import PASSWORD, World

#: Distances from the centre of the map in pixels; a seat is larger than one step.
OFFSETS = range(-96, 97, 8)
MAX_TABS = 40


async def find_seat(visitor: Visitor) -> tuple[float, float, str]:
    """Move the mouse outwards from the centre of the map to an available seat; return its position and label."""
    box = await visitor.by("seat-map").bounding_box()
    assert box
    centre_x, centre_y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    tooltip = visitor.page.locator(".map-tip")
    for dx, dy in sorted(product(OFFSETS, OFFSETS), key=lambda step: hypot(*step)):
        await visitor.page.mouse.move(centre_x + dx, centre_y + dy)
        text = await tooltip.inner_text() if await tooltip.is_visible() else ""
        if named := re.match(r"Stalls, row (\w+), seat (\d+)\n.*available", text):
            return centre_x + dx, centre_y + dy, f"Stalls-{named[1]}-{named[2]}"
    raise AssertionError("No available seat around the centre of the map.")


async def test_a_click_on_the_map_picks_the_seat_in_the_tooltip(visit: Visit, world: World) -> None:
    show = await world.show(rows=2, seats=10)
    visitor = await visit()
    await visitor.open_event(show.id)
    x, y, label = await find_seat(visitor)
    await visitor.page.mouse.click(x, y)
    await expect(visitor.by("picked-seat")).to_have_attribute("data-picked", label)
    await visitor.expect_status(label, "mine")
    await visitor.page.mouse.click(x, y)
    await expect(visitor.by("picked-seat")).to_have_count(0)
    await visitor.expect_status(label, "available")


async def test_a_tap_on_a_phone_picks_a_seat(visit: Visit, world: World) -> None:
    show = await world.show(rows=2, seats=10)
    visitor = await visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    await visitor.open_event(show.id)
    x, y, label = await find_seat(visitor)
    await visitor.page.touchscreen.tap(x, y)
    await expect(visitor.by("picked-seat")).to_have_attribute("data-picked", label)


async def test_arrow_keys_move_over_the_map(visit: Visit, world: World) -> None:
    show = await world.show(rows=2, seats=10)
    visitor = await visit()
    await visitor.open_event(show.id)
    await visitor.page.get_by_role("application", name="Seat map").focus()
    for key in ("ArrowRight", "ArrowRight", "Enter"):
        await visitor.page.keyboard.press(key)
    await expect(visitor.by("picked-seat")).to_have_count(1)


async def tab_to(visitor: Visitor, selector: str) -> None:
    """Press Tab until the focused element matches `selector`; fail after 40 times."""
    for _ in range(MAX_TABS):
        await visitor.page.keyboard.press("Tab")
        if await visitor.page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} is not reached with {MAX_TABS} tabs")


async def test_a_seat_is_bought_with_the_keyboard_alone(visit: Visit, world: World) -> None:
    show, ada = await world.show(rows=2, seats=10), await world.person("ada")
    visitor = await visit()
    keyboard = visitor.page.keyboard
    await visitor.open_event(show.id)
    await tab_to(visitor, 'a[href="#list"]')
    await keyboard.press("Enter")
    await tab_to(visitor, '[data-seat="Stalls-A-1"]')
    for key in ("ArrowRight", "ArrowDown", "Enter"):
        await keyboard.press(key)
    await expect(visitor.by("picked-seat")).to_have_attribute("data-picked", "Stalls-B-2")

    await tab_to(visitor, '[data-testid="list-to-panel"]')
    await keyboard.press("Enter")
    await expect(visitor.by("hold-button")).to_be_focused()
    await keyboard.press("Enter")
    await expect(visitor.by("login-email")).to_be_focused()
    await keyboard.type(ada.email)
    await keyboard.press("Tab")
    await keyboard.type(PASSWORD)
    await keyboard.press("Enter")

    # The pressed button is removed; the focus moves to the heading of the new panel.
    await expect(visitor.page.get_by_role("heading", name="Held for you")).to_be_focused()
    await tab_to(visitor, '[data-testid="pay-button"]')
    await keyboard.press("Enter")
    await visitor.page.wait_for_url("**/mock-pay/**")
    await tab_to(visitor, 'button[value="pay"]')
    await keyboard.press("Enter")
    await expect(visitor.by("ticket")).to_have_attribute("data-seat", "Stalls-B-2")
