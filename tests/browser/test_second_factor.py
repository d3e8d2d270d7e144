"""A person switches a second factor on, logs in with it, and switches it off again, all in the browser."""

from playwright.async_api import expect

from tests.authenticator import digits
from tests.browser.axe import grave_findings
from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor
from tests.world import PASSWORD, World


async def open_box(visitor: Visitor) -> None:
    await visitor.open("/me")
    await visitor.by("second-factor").locator("summary").click()


async def is_accessible(visitor: Visitor) -> None:
    assert not (findings := await grave_findings(visitor.page)), "\n".join(findings)


async def test_a_second_factor_from_first_code_to_last(visit: Visit, world: World) -> None:
    ada, visitor = await world.person("ada"), await visit()
    visitor.expected += ["401", "422"]
    box = visitor.by("second-factor")
    await visitor.log_in(ada)
    await open_box(visitor)
    await box.locator("input[name=password]").fill("not the password")
    await visitor.by("second-begin-go").click()
    await expect(box).to_contain_text("This is not your password.")
    await box.locator("input[name=password]").fill(PASSWORD)
    await visitor.by("second-begin-go").click()
    await expect(box.locator("svg[role=img]")).to_be_visible()
    await is_accessible(visitor)
    secret = await visitor.by("second-secret").inner_text()
    await visitor.by("code").fill(digits(secret))
    await visitor.by("second-confirm-go").click()
    await expect(visitor.by("recovery-code")).to_have_count(10)
    await is_accessible(visitor)
    recovery_code = await visitor.by("recovery-code").first.inner_text()
    await visitor.by("second-kept").click()
    await expect(box).to_contain_text("It is on.")
    await expect(visitor.by("recovery-code")).to_have_count(0)

    other = await visit()
    other.expected.append("401")
    await other.open("/login?next=/me")
    await other.fill_log_in(ada)
    await expect(other.by("login-error")).to_contain_text("Type the code")
    await expect(other.by("code")).to_be_focused()
    await is_accessible(other)
    await other.by("code").fill("no-such-code")
    await other.by("login-submit").click()
    await expect(other.by("login-error")).to_contain_text("This code is wrong")
    # The next code, since the present one was used; a phone's clock may be half a minute ahead.
    await other.by("code").fill(digits(secret, 1))
    await other.by("login-submit").click()
    await other.page.wait_for_url(f"{other.url}/me")

    await open_box(other)
    await other.by("second-factor").locator("input[name=password]").fill(PASSWORD)
    await other.by("code").fill(recovery_code)
    await other.by("second-disable-go").click()
    await expect(other.by("notice")).to_contain_text("Your second factor is off.")
    await expect(other.by("second-begin-go")).to_be_visible()
