"""Screenshots and accessibility checks of the pages on phone and desktop, in the light and the dark theme."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx2
import pytest
from playwright.async_api import expect

from tests.browser.axe import assert_accessible
from tests.browser.conftest import Visit
from tests.browser.demo_venues import Theatre, create_theatre
from tests.browser.visitor import VARIANTS, Visitor, context_options
from tests.support.platform import Platform
from tests.support.world import World


@dataclass
class Appearance:
    """Takes screenshots and checks accessibility in one variant."""

    visitor: Visitor
    variant: str

    async def check(self, name: str) -> None:
        await self.visitor.screenshot(f"{name}-{self.variant}")
        # Axe takes 1 s per page, so it runs in two variants, which cover both themes and both sizes.
        if self.variant in {"desk-light", "phone-dark"}:
            await assert_accessible(self.visitor.page)


@pytest.fixture(scope="module")
async def theatre(platform: Platform) -> AsyncIterator[Theatre]:
    async with httpx2.AsyncClient(base_url=platform.url, timeout=30) as client:
        yield await create_theatre(World(client))


@pytest.fixture(params=VARIANTS)
async def appearance(request: pytest.FixtureRequest, visit: Visit) -> Appearance:
    return Appearance(await visit(**context_options(request.param)), request.param)


async def test_the_buyers_pages_are_accessible(appearance: Appearance, theatre: Theatre) -> None:
    visitor, guest = appearance.visitor, theatre.guest
    await visitor.open("/")
    await expect(visitor.page.locator("main[data-ready]")).to_be_visible()
    await expect(visitor.by("event-card").first).to_be_visible()
    await appearance.check("home")
    await visitor.open("/login")
    await appearance.check("login")

    await visitor.open_event(theatre.show.id)
    await visitor.screenshot(f"event-{appearance.variant}")
    await visitor.by("seat-section").first.locator("summary").click()
    await visitor.page.locator('[data-seat][data-state="available"]').first.click()
    await visitor.page.locator('[data-seat][data-state="available"]').nth(1).click()
    await expect(visitor.by("picked-seat")).to_have_count(2)
    await appearance.check("event-picked")
    await visitor.by("hold-button").click()
    await expect(visitor.by("login-dialog")).to_be_visible()
    await appearance.check("event-login")
    await visitor.submit_log_in(guest)
    await expect(visitor.by("countdown")).to_be_visible()
    await appearance.check("event-held")
    await visitor.by("pay-button").click()
    await visitor.page.wait_for_url("**/mock-pay/**")
    await appearance.check("mock-pay")
    await visitor.page.go_back()
    await visitor.by("release-button").click()
    await expect(visitor.by("hold-button")).to_be_visible()

    await visitor.open(f"/o/{theatre.reference}")
    await visitor.expect_qr_codes(2)
    await appearance.check("order")
    await visitor.open("/me")
    await expect(visitor.page.locator(f'[href="/o/{theatre.reference}"]')).to_be_visible()
    await appearance.check("me")


async def test_the_staff_pages_are_accessible(appearance: Appearance, theatre: Theatre) -> None:
    visitor = appearance.visitor
    visitor.expected.append("409")
    await visitor.log_in(theatre.show.tenant.admin)
    await visitor.open("/console")
    await expect(visitor.page.locator(f'[data-reference="{theatre.reference}"]')).to_be_visible()
    await appearance.check("console")
    await visitor.open("/door")
    await expect(visitor.by("door-stats")).not_to_be_empty()
    await appearance.check("door")
    # The first variant checks the ticket in; in the others, the page shows that it was checked in already.
    await visitor.by("code-input").fill(theatre.code)
    await visitor.by("check-in").click()
    await expect(visitor.by("check-result")).to_have_attribute("data-result", re.compile("admitted|already"))
    await appearance.check("door-scanned")
