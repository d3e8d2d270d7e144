"""Log-in in the browser: the second factor, and the page that is opened afterwards."""

from urllib.parse import quote

from playwright.async_api import expect

from tests.browser.axe import assert_accessible
from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor
from tests.support.authenticator import digits
from tests.support.platform import Platform
from tests.support.world import PASSWORD, World

#: Spellings of another site, and of no site.
FOREIGN = (
    "/.//evil.example/",
    "/..//evil.example/",
    "/%2e//evil.example/",
    "/me/../..//evil.example/",
    "/./\\evil.example/",
    "/.//\\evil.example/",
    "//evil.example/",
    "///evil.example/",
    "\\\\evil.example/",
    "/\\evil.example/",
    "\\/evil.example/",
    "/\t/evil.example/",
    "\n//evil.example/",
    "/\r\n/evil.example/",
    " //evil.example/",
    "\u0001//evil.example/",
    "https://evil.example/",
    "HTTPS:evil.example",
    "http:evil.example",
    "https:\\\\evil.example/",
    "//evil.example\u3002com/",
    "\uff0f\uff0fevil.example/",
    "/\u2215/evil.example/",
    "//[::1]/",
    "//user@evil.example/",
    "javascript:alert(1)",
    "JaVa\nScRiPt:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "blob:{origin}/3f2b",
    "filesystem:{origin}/temporary/x",
    "{origin}@evil.example/",
    "{origin}.evil.example/",
    "//{host}:1/",
    "http://[",
    "",
)
OWN = {
    "/me": "/me",
    "me?x=1#y": "/me?x=1#y",
    "{origin}/e/1": "/e/1",
    "//{host}/e/1": "/e/1",
    "/%2F%2Fevil.example/": "/%2F%2Fevil.example/",
}


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


async def test_after_login_no_spelling_leads_to_another_site(platform: Platform, world: World, visit: Visit) -> None:
    visitor = await visit()
    await visitor.open("/login")
    script = await visitor.page.locator("script[src*='/js/main.js']").get_attribute("src")
    names = {"origin": visitor.url, "host": visitor.url.partition("//")[2]}
    read = """async ([path, texts]) => {
        const { ownAddress } = await import(path);
        return texts.map((text) => new URL(ownAddress(text), location.href).href);
    }"""
    module = str(script).replace("main.js", "lib/addresses.js")
    texts = [text.replace("{origin}", names["origin"]).replace("{host}", names["host"]) for text in (*FOREIGN, *OWN)]
    opened = dict(zip(texts, await visitor.page.evaluate(read, [module, texts]), strict=True))
    assert {text: url for text, url in opened.items() if not url.startswith(f"{visitor.url}/")} == {}
    assert [opened[text] for text in texts[len(FOREIGN) :]] == [f"{visitor.url}{path}" for path in OWN.values()]

    visitor.expected.append("404")  # this site has no such page
    await visitor.open(f"/login?next={quote(FOREIGN[0])}")
    await visitor.submit_log_in(await world.person("ada"))
    await visitor.page.wait_for_url(f"{visitor.url}//evil.example/")
    await visitor.open("/login?next=//evil.example/")
    await visitor.submit_log_in(await world.person("bob"))
    await visitor.page.wait_for_url(f"{visitor.url}/")
