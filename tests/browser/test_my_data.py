"""Export of personal data and deletion of the account on /me."""

import asyncio
import json

import pytest
from playwright.async_api import expect

from tests.browser.axe import assert_accessible
from tests.browser.conftest import Visit
from tests.browser.visitor import DESK, PHONE
from tests.support.world import API, PASSWORD, World, refusal


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
async def test_a_user_exports_their_data_and_deletes_their_account(
    world: World, visit: Visit, size: dict[str, int]
) -> None:
    show, ada = await world.show(), await world.person("ada")
    await world.buy(ada, show, "Stalls-A-1")
    visitor = await visit(viewport=size)
    await visitor.log_in(ada)
    await visitor.by("my-data").locator("summary").click()
    async with visitor.page.expect_download() as saved:
        await visitor.by("export").click()
    file = await (await saved.value).path()
    document = json.loads(await asyncio.to_thread(file.read_bytes))
    assert document["account"][0]["email"] == ada.email
    await assert_accessible(visitor.page)

    visitor.expected += ["409", "422"]
    await visitor.by("erase-password").fill("not my password")
    await visitor.by("erase-go").click()
    await expect(visitor.by("erase").locator(".field-error")).to_be_visible()
    await visitor.by("erase-password").fill(PASSWORD)
    await visitor.by("erase-go").click()
    await expect(visitor.by("erase-error")).to_contain_text("tickets for events to come")
    await visitor.by("erase-tickets").check()
    await visitor.by("erase-go").click()
    await visitor.page.wait_for_url(f"{visitor.url}/")
    gone = {"email": ada.email, "password": PASSWORD}
    refusal(await world.client.post(f"{API}/auth/login", json=gone), 401)


async def test_orders_are_shown_while_the_rest_of_the_page_fails(world: World, visit: Visit) -> None:
    show, ada = await world.show(), await world.person("ada")
    order = await world.buy(ada, show, "Stalls-A-1")
    visitor = await visit()
    await visitor.log_in(ada)
    visitor.expected += ["500"]
    for path in ("/me", "/me/invitations", "/me/reservations"):
        await visitor.page.route(f"**{API}{path}", lambda route: route.fulfill(status=500, body="{}"))
        await visitor.page.reload()
        await expect(visitor.by("my-order")).to_have_attribute("data-reference", order["reference"])
        await visitor.page.unroute_all()
