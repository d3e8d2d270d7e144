"""A real browser before the running platform. Every window that a test opens must stay without complaints."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Browser, async_playwright

from tests.browser.visitor import Visitor
from tests.browser_support import chromium_or_skip, launch_arguments
from tests.platform import Platform, client, world

__all__ = ["client", "world"]

Visit = Callable[..., Awaitable[Visitor]]

WAIT_MS = 15_000


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    path = chromium_or_skip()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=launch_arguments())
        yield browser
        await browser.close()


@pytest.fixture
async def visit(chromium: Browser, platform: Platform) -> AsyncIterator[Visit]:
    """Opens windows: `await visit()`, with Playwright's context options. What they complained about fails the test."""
    visitors: list[Visitor] = []

    async def open_window(**options: Any) -> Visitor:
        look = {"viewport": {"width": 1440, "height": 900}, "locale": "en-GB", "timezone_id": "Europe/Amsterdam"}
        context = await chromium.new_context(**look | options)
        context.set_default_timeout(WAIT_MS)
        visitor = Visitor(platform.url, context, await context.new_page())
        visitor.listen()
        visitors.append(visitor)
        return visitor

    yield open_window
    for visitor in visitors:
        await visitor.context.close()
    for visitor in visitors:
        visitor.assert_quiet()
