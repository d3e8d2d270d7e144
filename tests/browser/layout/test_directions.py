"""Right-to-left titles and descriptions on the pages, as the browser lays them out."""

from typing import Any

from playwright.async_api import Page, expect

from tests.browser.conftest import Visit
from tests.support.world import World
from ticketing.web.assets import Assets

TITLE = "نغم (Live 2027)"
ISOLATED = f"\u2068{TITLE}\u2069"
#: Elements with the title outside an isolate that are not laid out from right to left.
WRONG = """([text, isolated]) => {
  const nodes = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const wrong = [];
  while (nodes.nextNode()) {
    const { data, parentElement } = nodes.currentNode;
    if (!data.replaceAll(isolated, '').includes(text)) continue;
    const { direction, unicodeBidi } = getComputedStyle(parentElement);
    if (direction !== 'rtl' || !/isolate|plaintext/.test(unicodeBidi)) wrong.push(parentElement.outerHTML);
  }
  return wrong;
}"""


async def wrong(page: Page) -> list[Any]:
    found: list[Any] = await page.evaluate(WRONG, [TITLE, ISOLATED])
    return found


async def test_right_to_left_texts_have_their_direction_on_every_page(visit: Visit, world: World) -> None:
    tenant, buyer = await world.tenant(), await world.person("ada")
    show = await world.show(tenant, rows=1, seats=2, capacity=5, title=TITLE, description=TITLE)
    order = await world.buy(buyer, show, "Stalls-A-1")
    visitor = await visit()
    await visitor.log_in(buyer)
    for path in ("/?q=2027", f"/e/{show.id}", f"/o/{order['reference']}", "/me"):
        await visitor.open(path)
        await expect(visitor.page.get_by_text(TITLE).first).to_be_visible()
        await expect(visitor.page.locator("main[data-ready]")).to_be_visible()
        assert await wrong(visitor.page) == [], path
    await visitor.open(f"/e/{show.id}")
    assert await visitor.page.title() == f"{ISOLATED} · Ticketing"


async def test_texts_are_isolated_in_sentences_and_controls_follow_what_is_typed(visit: Visit) -> None:
    visitor = await visit()
    await visitor.open("/")
    results = await visitor.page.evaluate(
        """async ([root, title]) => {
          const { t } = await import(root + '/js/words/translate.js');
          const { el, setText } = await import(root + '/js/lib/dom.js');
          const { joined } = await import(root + '/js/lib/directions.js');
          const later = el('p');
          setText(later, title);
          return [
            t('invitation.offer', { name: title, role: 'staff' }),
            joined([title, '', null, '45']),
            el('p', {}, title).dir,
            el('p', {}, joined([title, '45'])).dir,
            el('p', {}, 'Show').dir,
            later.dir,
            el('input', { name: 'title' }).dir,
            el('textarea').dir,
            el('input', { type: 'email' }).dir,
          ];
        }""",
        [Assets().prefix, TITLE],
    )
    assert results == [
        f"{ISOLATED} invites you as staff.",
        f"{ISOLATED} · 45",
        *("auto", "", "", "auto", "auto", "auto", ""),
    ]


async def test_a_canvas_takes_the_direction_of_the_first_letter(visit: Visit) -> None:
    visitor = await visit()
    await visitor.open("/")
    directions = await visitor.page.evaluate(
        """async ([root, texts]) => {
          const { fillText } = await import(root + '/js/lib/directions.js');
          const ctx = document.createElement('canvas').getContext('2d');
          return texts.map((text) => (fillText(ctx, text, 0, 0), ctx.direction));
        }""",
        [Assets().prefix, [TITLE, "A 12", "12", "12 נגב", "Stalls נגב"]],
    )
    assert directions == ["rtl", "ltr", "ltr", "rtl", "ltr"]
