"""Browser tests fail on errors that the browser reports; these tests show that such errors are detected."""

from tests.browser.conftest import Visit

FOREIGN = "https://example.com/pixel.png"


async def test_a_request_to_another_origin_is_blocked_and_reported(visit: Visit) -> None:
    visitor = await visit()
    visitor.expected.append(FOREIGN)
    await visitor.open("/")
    async with visitor.page.expect_console_message(lambda message: "Content Security Policy" in message.text):
        await visitor.page.evaluate(
            "address => document.body.append(Object.assign(new Image(), {src: address}))", FOREIGN
        )
    assert any(FOREIGN in problem for problem in visitor.problems)


async def test_an_uncaught_error_is_reported(visit: Visit) -> None:
    visitor = await visit()
    visitor.expected.append("on purpose")
    await visitor.open("/")
    async with visitor.page.expect_event("pageerror"):
        await visitor.page.evaluate("setTimeout(() => { throw new Error('on purpose'); })")
    assert any("on purpose" in problem for problem in visitor.problems)
