"""A real browser against the running platform. A test fails if the browser reports a problem on any of its pages."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, async_playwright, expect

from tests.browser.visitor import Visitor
from tests.support.browser import chromium_or_skip, launch_arguments
from tests.support.platform import Platform, client, world

__all__ = ["client", "world"]

Visit = Callable[..., Awaitable[Visitor]]

#: Timeout of every wait, long enough for a busy machine; a condition that holds already is not waited for.
WAIT_MS = 30_000
expect.set_options(timeout=WAIT_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session", autouse=True)
def chromium_path() -> str:
    """Evaluated first, so that no platform is started where there is no browser."""
    return chromium_or_skip()


@pytest.fixture(scope="session")
async def chromium(chromium_path: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path, args=launch_arguments())
        yield browser
        await browser.close()


@pytest.fixture
async def visit(chromium: Browser, platform: Platform) -> AsyncIterator[Visit]:
    """Open a browser window: `await visit(**options)`, with Playwright's context options.

    The test fails if the browser reported an unexpected problem in any window.
    """
    visitors: list[Visitor] = []

    async def open_window(**options: Any) -> Visitor:
        defaults = {"viewport": {"width": 1440, "height": 900}, "locale": "en-GB", "timezone_id": "Europe/Amsterdam"}
        context = await chromium.new_context(**defaults | options)
        context.set_default_timeout(WAIT_MS)
        visitor = Visitor(platform.url, context, await context.new_page())
        visitor.listen()
        visitors.append(visitor)
        return visitor

    yield open_window
    for visitor in visitors:
        await visitor.context.close()
    for visitor in visitors:
        visitor.assert_no_problems()
