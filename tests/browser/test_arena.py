"""Sixteen thousand seats on one canvas: all there, and moving when they are moved."""

from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.browser.gallery import STANDING, open_house
from tests.browser.visitor import Visitor
from tests.world import World

SEATS = 16_296
SECTIONS = 48
FRAMES = 30
#: Of 81 fields: those that an oval with its hole reaches, and those that seats fill after coming closer.
OVAL_FIELDS = 45
CLOSE_FIELDS = 40

# How many seats the list offers, section by section.
COUNT_FREE = """() => [...document.querySelectorAll('[data-testid=seat-section] summary .muted')]
  .reduce((sum, node) => sum + Number(node.textContent.replace(/\\D/g, '')), 0)"""

# How many of nine by nine fields of the drawing show anything but the paper of its corner.
COUNT_DRAWN = """canvas => {
  const side = 9, size = side * 10, fields = new Set();
  const copy = Object.assign(document.createElement('canvas'), { width: size, height: size });
  const ctx = copy.getContext('2d', { willReadFrequently: true });
  ctx.drawImage(canvas, 0, 0, size, size);
  const { data } = ctx.getImageData(0, 0, size, size);
  for (let i = 0; i < data.length; i += 4) {
    const [x, y] = [(i / 4) % size, Math.floor(i / 4 / size)];
    const isPaper = [0, 1, 2].every(n => Math.abs(data[i + n] - data[n]) < 24);
    if (!isPaper) fields.add(Math.floor(x / 10) + side * Math.floor(y / 10));
  }
  return fields.size;
}"""

# The times of the next frames, in milliseconds.
TIME_FRAMES = """count => new Promise(resolve => {
  const times = [];
  const step = now => (times.push(now) > count ? resolve(times) : requestAnimationFrame(step));
  requestAnimationFrame(step);
})"""


async def draws_fields(visitor: Visitor, count: int) -> None:
    """Wait until so many of the drawing's 81 fields show something."""
    canvas = await visitor.by("seat-map").element_handle()
    await visitor.page.wait_for_function(f"canvas => ({COUNT_DRAWN})(canvas) >= {count}", arg=canvas, polling=200)


async def test_the_arena_is_drawn_whole_and_pans(visit: Visit, world: World) -> None:
    show = await open_house(world, await world.tenant("arena"), "arena", "Northern Lights", STANDING)
    visitor = await visit()
    await visitor.open_event(show.id)
    await expect(visitor.by("seat-section")).to_have_count(SECTIONS)
    assert await visitor.page.evaluate(COUNT_FREE) == SEATS
    await draws_fields(visitor, OVAL_FIELDS)
    await visitor.picture("arena-desk-light")

    # A click on a section comes closer, until there are single seats; then the hand drags the plan along.
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
    await draws_fields(visitor, CLOSE_FIELDS)
    assert await visitor.by("seat-map").screenshot() != before
    await expect(visitor.by("picked-seat")).to_have_count(0)
    await visitor.picture("arena-close-desk-light")
