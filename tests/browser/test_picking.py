"""A seat can be picked on the drawing, and without ever touching a mouse."""

import re
from itertools import product
from math import hypot

from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor
from tests.world import PASSWORD, World

#: Pixels to go from the middle of the drawing; a seat is larger than one step.
STEPS = range(-96, 97, 8)
TABS = 40


async def find_seat(visitor: Visitor) -> tuple[float, float, str]:
    """Move the mouse over the drawing, outwards from its middle, until a label names a free seat: where, and which."""
    box = await visitor.by("seat-map").bounding_box()
    assert box
    middle_x, middle_y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    tip = visitor.page.locator(".map-tip")
    for dx, dy in sorted(product(STEPS, STEPS), key=lambda step: hypot(*step)):
        await visitor.page.mouse.move(middle_x + dx, middle_y + dy)
        words = await tip.inner_text() if await tip.is_visible() else ""
        if named := re.match(r"Stalls, row (\w+), seat (\d+)\n.*available", words):
            return middle_x + dx, middle_y + dy, f"Stalls-{named[1]}-{named[2]}"
    raise AssertionError("The drawing names no free seat around its middle.")


async def test_a_click_on_the_drawing_picks_the_seat_that_it_names(visit: Visit, world: World) -> None:
    show = await world.show(rows=2, seats=10)
    visitor = await visit()
    await visitor.open_event(show.id)
    x, y, label = await find_seat(visitor)
    await visitor.page.mouse.click(x, y)
    await expect(visitor.by("picked-seat")).to_have_attribute("data-picked", label)
    await visitor.sees(label, "mine")
    await visitor.page.mouse.click(x, y)
    await expect(visitor.by("picked-seat")).to_have_count(0)
    await visitor.sees(label, "available")


async def test_a_finger_picks_a_seat_on_a_phone(visit: Visit, world: World) -> None:
    show = await world.show(rows=2, seats=10)
    visitor = await visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    await visitor.open_event(show.id)
    x, y, label = await find_seat(visitor)
    await visitor.page.touchscreen.tap(x, y)
    await expect(visitor.by("picked-seat")).to_have_attribute("data-picked", label)


async def test_the_arrow_keys_walk_over_the_drawing(visit: Visit, world: World) -> None:
    show = await world.show(rows=2, seats=10)
    visitor = await visit()
    await visitor.open_event(show.id)
    await visitor.page.get_by_role("application", name="Seat map").focus()
    for key in ("ArrowRight", "ArrowRight", "Enter"):
        await visitor.page.keyboard.press(key)
    await expect(visitor.by("picked-seat")).to_have_count(1)


async def tab_to(visitor: Visitor, selector: str) -> None:
    """Press Tab until the keyboard stands on what `selector` names; fails when it can't be reached."""
    for _ in range(TABS):
        await visitor.page.keyboard.press("Tab")
        if await visitor.page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} is not reached with {TABS} tabs")


async def test_a_keyboard_alone_buys_a_seat(visit: Visit, world: World) -> None:
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

    # The pressed button is gone; the keyboard goes on at the heading of what is held.
    await expect(visitor.page.get_by_role("heading", name="Held for you")).to_be_focused()
    await tab_to(visitor, '[data-testid="pay-button"]')
    await keyboard.press("Enter")
    await visitor.page.wait_for_url("**/mock-pay/**")
    await tab_to(visitor, 'button[value="pay"]')
    await keyboard.press("Enter")
    await expect(visitor.by("ticket")).to_have_attribute("data-seat", "Stalls-B-2")
