"""The seat map with 16,296 seats: everything is drawn, and the map pans."""

from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.browser.demo_venues import STANDING, create_event
from tests.browser.visitor import Visitor
from tests.support.world import World

SEATS = 16_296
SECTIONS = 48
FRAMES = 30
#: Minimum number of the 81 cells with content: for the whole oval, and after zooming in to single seats.
OVAL_CELLS = 45
ZOOMED_CELLS = 40

# The sum of the available seats that the list shows per section.
COUNT_FREE = """() => [...document.querySelectorAll('[data-testid=seat-section] summary .muted')]
  .reduce((sum, node) => sum + Number(node.textContent.replace(/\\D/g, '')), 0)"""

# The number of cells, of 9 by 9 over the canvas, with a pixel unlike the background, which is taken from the corner.
COUNT_DRAWN = """canvas => {
  const side = 9, size = side * 10, cells = new Set();
  const copy = Object.assign(document.createElement('canvas'), { width: size, height: size });
  const ctx = copy.getContext('2d', { willReadFrequently: true });
  ctx.drawImage(canvas, 0, 0, size, size);
  const { data } = ctx.getImageData(0, 0, size, size);
  for (let i = 0; i < data.length; i += 4) {
    const [x, y] = [(i / 4) % size, Math.floor(i / 4 / size)];
    const isBackground = [0, 1, 2].every(n => Math.abs(data[i + n] - data[n]) < 24);
    if (!isBackground) cells.add(Math.floor(x / 10) + side * Math.floor(y / 10));
  }
  return cells.size;
}"""

# The timestamps of the next frames, in milliseconds.
TIME_FRAMES = """count => new Promise(resolve => {
  const times = [];
  const step = now => (times.push(now) > count ? resolve(times) : requestAnimationFrame(step));
  requestAnimationFrame(step);
})"""


async def expect_drawn_cells(visitor: Visitor, count: int) -> None:
    """Wait until `count` of the 81 cells of the canvas have content."""
    canvas = await visitor.by("seat-map").element_handle()
    await visitor.page.wait_for_function(f"canvas => ({COUNT_DRAWN})(canvas) >= {count}", arg=canvas, polling=200)


async def test_a_plan_of_16000_seats_is_drawn_and_pans(visit: Visit, world: World) -> None:
    show = await create_event(world, await world.tenant("arena"), "arena", "Northern Lights", STANDING)
    visitor = await visit()
    await visitor.open_event(show.id)
    await expect(visitor.by("seat-section")).to_have_count(SECTIONS)
    assert await visitor.page.evaluate(COUNT_FREE) == SEATS
    await expect_drawn_cells(visitor, OVAL_CELLS)
    await visitor.screenshot("arena-desk-light")

    # A click on a section zooms in to single seats; dragging then pans the plan.
    box = await visitor.by("seat-map").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 6
    await visitor.page.mouse.click(x, y)
    await expect(visitor.by("seat-map")).not_to_have_attribute("data-zoom", "1.00")
    before = await visitor.by("seat-map").screenshot()
    await visitor.page.mouse.down()
    frames = visitor.page.evaluate(TIME_FRAMES, FRAMES)
    await visitor.page.mouse.move(x + 300, y + 200, steps=FRAMES)
    await visitor.page.mouse.up()
    times = await frames
    assert len(times) > FRAMES
    assert times == sorted(times)
    await expect_drawn_cells(visitor, ZOOMED_CELLS)
    assert await visitor.by("seat-map").screenshot() != before
    await expect(visitor.by("picked-seat")).to_have_count(0)
    await visitor.screenshot("arena-close-desk-light")
