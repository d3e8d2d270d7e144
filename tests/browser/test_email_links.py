"""The pages behind the links in emails, which a development platform logs instead of sending."""

import re

import pytest
from playwright.async_api import expect

from tests.browser.axe import assert_accessible
from tests.browser.conftest import Visit
from tests.browser.visitor import VARIANTS, Visitor, context_options
from tests.support.platform import Platform, eventually
from tests.support.world import API, PASSWORD, Person, World, data

NEW_PASSWORD = "staple battery horse"


async def _link(platform: Platform, person: Person, page: str) -> str:
    """Return the path of the latest link to `page` in an email to `person`."""
    pattern = rf"To: {re.escape(person.email)}\n.*?https?://[^/\s]+(/account/{page}#\S+)"

    async def find_links() -> list[str]:
        return re.findall(pattern, platform.logs("consumers"), re.DOTALL)

    return str((await eventually(find_links))[-1])


async def _reset_link(platform: Platform, world: World, person: Person) -> str:
    response = await world.client.post(f"{API}/auth/password-reset", json={"email": person.email})
    assert response.status_code == 202
    return await _link(platform, person, "reset")


async def test_a_button_confirms_the_email_address(platform: Platform, world: World, visit: Visit) -> None:
    ada = await world.person("ada")
    visitor = await visit()
    await visitor.log_in(ada)
    await expect(visitor.by("verify-hint")).to_be_visible()
    await visitor.open(await _link(platform, ada, "verify"))
    await expect(visitor.by("account-submit")).to_be_visible()
    assert data(await ada.get("/me"))["email_verified"] is False, "opening the page does not confirm the address"
    await visitor.by("account-submit").click()
    await expect(visitor.by("account-outcome")).to_have_text("Your address is confirmed")
    await expect(visitor.by("account-outcome")).to_be_focused()
    assert visitor.page.url == f"{visitor.url}/account/verify", "the token is removed from the address bar"
    assert data(await ada.get("/me"))["email_verified"] is True
    await visitor.open("/me")
    await expect(visitor.page.locator("main[data-ready]")).to_be_visible()
    await expect(visitor.by("verify-hint")).to_have_count(0)


async def test_a_forgotten_password_is_replaced(platform: Platform, world: World, visit: Visit) -> None:
    ada = await world.person("ada")
    visitor = await visit()
    visitor.expected += ["422", "401"]
    await visitor.open("/login")
    await visitor.by("login-forgotten").click()
    await visitor.by("reset-email").fill(ada.email)
    await visitor.by("account-submit").click()
    await expect(visitor.by("account-outcome")).to_have_text("Look into your mailbox")

    # In the same tab, only the fragment of the URL changes.
    link = await _link(platform, ada, "reset")
    await visitor.open(link)
    await visitor.by("reset-password").fill("short")
    await visitor.by("account-submit").click()
    await expect(visitor.page.locator(".field-error")).to_be_visible()
    await visitor.by("reset-password").fill(NEW_PASSWORD)
    await visitor.by("account-submit").click()
    await expect(visitor.by("account-outcome")).to_have_text("Your password is changed")
    assert visitor.page.url == f"{visitor.url}/account/reset"

    await visitor.open("/login?next=/me")
    await visitor.by("login-email").fill(ada.email)
    for password in (PASSWORD, NEW_PASSWORD):
        await visitor.by("login-password").fill(password)
        await visitor.by("login-submit").click()
        if password == PASSWORD:
            await expect(visitor.by("login-error")).to_be_visible()
    await visitor.page.wait_for_url(f"{visitor.url}/me")


async def test_a_used_link_shows_an_error_and_offers_a_new_one(platform: Platform, world: World, visit: Visit) -> None:
    ada = await world.person("ada")
    link = await _reset_link(platform, world, ada)
    body = {"token": link.partition("#")[2], "password": NEW_PASSWORD}
    data(await world.client.post(f"{API}/auth/password-reset/confirm", json=body))
    visitor = await visit()
    visitor.expected.append("422")
    await visitor.open(link)
    await visitor.by("reset-password").fill("another good password")
    await visitor.by("account-submit").click()
    await expect(visitor.by("account-error")).to_contain_text("not valid any more")
    await visitor.by("account-error").get_by_role("link").click()
    await expect(visitor.by("reset-email")).to_be_visible()


async def test_opening_the_link_sends_no_request_with_its_token(platform: Platform, world: World, visit: Visit) -> None:
    link = await _reset_link(platform, world, await world.person("ada"))
    token = link.partition("#")[2]
    visitor = await visit()
    seen: list[str] = []
    visitor.page.on("request", lambda request: seen.append(f"{request.url} {request.headers}"))
    await visitor.open(link)
    await expect(visitor.by("reset-password")).to_be_visible()
    assert len(seen) > 3
    assert not [request for request in seen if token in request]


@pytest.mark.parametrize("variant", VARIANTS)
async def test_the_account_pages_are_accessible(platform: Platform, world: World, visit: Visit, variant: str) -> None:
    ada = await world.person("ada")
    visitor = await visit(**context_options(variant))
    reset = await _reset_link(platform, world, ada)
    for name, path in (
        ("reset-ask", "/account/reset"),
        ("reset", reset),
        ("verify", await _link(platform, ada, "verify")),
        ("verify-no-link", "/account/verify"),
    ):
        await visitor.page.goto("about:blank")
        await visitor.open(path)
        await expect(visitor.page.locator("main[data-ready] h1")).to_be_visible()
        await _check(visitor, f"account-{name}-{variant}")
    await visitor.log_in(ada)
    await expect(visitor.by("verify-hint")).to_be_visible()
    await _check(visitor, f"account-hint-{variant}")


async def _check(visitor: Visitor, name: str) -> None:
    await visitor.screenshot(name)
    await assert_accessible(visitor.page)
