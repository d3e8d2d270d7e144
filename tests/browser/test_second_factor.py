"""The second factor in the browser: enabled, used to log in, and disabled."""

from playwright.async_api import expect

from tests.browser.axe import assert_accessible
from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor
from tests.support.authenticator import digits
from tests.support.world import PASSWORD, World


async def open_second_factor_box(visitor: Visitor) -> None:
    await visitor.open("/me")
    await visitor.by("second-factor").locator("summary").click()


async def test_the_second_factor_is_enabled_used_and_disabled(visit: Visit, world: World) -> None:
    ada, visitor = await world.person("ada"), await visit()
    visitor.expected += ["401", "422"]
    box = visitor.by("second-factor")
    await visitor.log_in(ada)
    await open_second_factor_box(visitor)
    await box.locator("input[name=password]").fill("not the password")
    await visitor.by("second-begin-go").click()
    await expect(box).to_contain_text("This is not your password.")
    await box.locator("input[name=password]").fill(PASSWORD)
    await visitor.by("second-begin-go").click()
    await expect(box.locator("svg[role=img]")).to_be_visible()
    await assert_accessible(visitor.page)
    secret = await visitor.by("second-secret").inner_text()
    await visitor.by("code").fill(digits(secret))
    await visitor.by("second-confirm-go").click()
    await expect(visitor.by("recovery-code")).to_have_count(10)
    await assert_accessible(visitor.page)
    recovery_code = await visitor.by("recovery-code").first.inner_text()
    await visitor.by("second-kept").click()
    await expect(box).to_contain_text("It is on.")
    await expect(visitor.by("recovery-code")).to_have_count(0)

    other = await visit()
    other.expected.append("401")
    await other.open("/login?next=/me")
    await other.submit_log_in(ada)
    await expect(other.by("login-error")).to_contain_text("Type the code")
    await expect(other.by("code")).to_be_focused()
    await assert_accessible(other.page)
    await other.by("code").fill("no-such-code")
    await other.by("login-submit").click()
    await expect(other.by("login-error")).to_contain_text("This code is wrong")
    # The next code, since each code works once; the clock of a phone may be 30 s ahead.
    await other.by("code").fill(digits(secret, 1))
    await other.by("login-submit").click()
    await other.page.wait_for_url(f"{other.url}/me")

    await open_second_factor_box(other)
    await other.by("second-factor").locator("input[name=password]").fill(PASSWORD)
    await other.by("code").fill(recovery_code)
    await other.by("second-disable-go").click()
    await expect(other.by("notice")).to_contain_text("Your second factor is off.")
    await expect(other.by("second-begin-go")).to_be_visible()
