"""Every window of these tests fails on complaints of the browser; this shows that such complaints are heard."""

from tests.browser.conftest import Visit

FOREIGN = "https://example.com/pixel.png"


async def test_a_page_that_reaches_out_is_stopped_and_heard(visit: Visit) -> None:
    visitor = await visit()
    visitor.expected.append(FOREIGN)
    await visitor.open("/")
    async with visitor.page.expect_console_message(lambda message: "Content Security Policy" in message.text):
        await visitor.page.evaluate(
            "address => document.body.append(Object.assign(new Image(), {src: address}))", FOREIGN
        )
    assert any(FOREIGN in trouble for trouble in visitor.troubles)


async def test_a_script_that_fails_is_heard(visit: Visit) -> None:
    visitor = await visit()
    visitor.expected.append("on purpose")
    await visitor.open("/")
    async with visitor.page.expect_event("pageerror"):
        await visitor.page.evaluate("setTimeout(() => { throw new Error('on purpose'); })")
    assert any("on purpose" in trouble for trouble in visitor.troubles)
