"""Addresses that a page takes from its own address lead to this site only."""

from urllib.parse import quote

from tests.browser.conftest import Visit
from tests.support.platform import Platform
from tests.support.world import World

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
