"""How the pages look on a phone and on a desk, by day and by night: kept as pictures, and read by axe."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx2
import pytest
from playwright.async_api import expect

from tests.browser.axe import grave_findings
from tests.browser.conftest import Visit
from tests.browser.gallery import Theatre, open_theatre
from tests.browser.visitor import Visitor
from tests.platform import Platform
from tests.world import World

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1440, "height": 900}


@dataclass
class Eye:
    """Looks at pages in one size and one colour scheme."""

    visitor: Visitor
    look: str

    async def looks_at(self, name: str) -> None:
        await self.visitor.picture(f"{name}-{self.look}")
        # Axe takes a second a page: day and night once each, and in doing so a phone and a desk.
        if self.look in {"desk-light", "phone-dark"}:
            assert not (findings := await grave_findings(self.visitor.page)), "\n".join(findings)


@pytest.fixture(scope="module")
async def theatre(platform: Platform) -> AsyncIterator[Theatre]:
    async with httpx2.AsyncClient(base_url=platform.url, timeout=30) as client:
        yield await open_theatre(World(client))


@pytest.fixture(params=["phone-light", "phone-dark", "desk-light", "desk-dark"])
async def eye(request: pytest.FixtureRequest, visit: Visit) -> Eye:
    size, scheme = request.param.split("-")
    phone = {"viewport": PHONE, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
    visitor = await visit(
        **(phone if size == "phone" else {"viewport": DESK}), color_scheme=scheme, reduced_motion="reduce"
    )
    return Eye(visitor, request.param)


async def test_a_buyers_pages_look_well_and_are_accessible(eye: Eye, theatre: Theatre) -> None:
    visitor, guest = eye.visitor, theatre.guest
    await visitor.open("/")
    await expect(visitor.page.locator("main[data-ready]")).to_be_visible()
    await expect(visitor.by("event-card").first).to_be_visible()
    await eye.looks_at("home")
    await visitor.open("/login")
    await eye.looks_at("login")

    await visitor.open_event(theatre.show.id)
    await visitor.picture(f"event-{eye.look}")
    await visitor.by("seat-section").first.locator("summary").click()
    await visitor.page.locator('[data-seat][data-state="available"]').first.click()
    await visitor.page.locator('[data-seat][data-state="available"]').nth(1).click()
    await expect(visitor.by("picked-seat")).to_have_count(2)
    await eye.looks_at("event-picked")
    await visitor.by("hold-button").click()
    await expect(visitor.by("login-dialog")).to_be_visible()
    await eye.looks_at("event-login")
    await visitor.fill_log_in(guest)
    await expect(visitor.by("countdown")).to_be_visible()
    await eye.looks_at("event-held")
    await visitor.by("pay-button").click()
    await visitor.page.wait_for_url("**/mock-pay/**")
    await eye.looks_at("mock-pay")
    await visitor.page.go_back()
    await visitor.by("release-button").click()
    await expect(visitor.by("hold-button")).to_be_visible()

    await visitor.open(f"/o/{theatre.reference}")
    await visitor.sees_codes(2)
    await eye.looks_at("order")
    await visitor.open("/me")
    await expect(visitor.page.locator(f'[href="/o/{theatre.reference}"]')).to_be_visible()
    await eye.looks_at("me")


async def test_the_staffs_pages_look_well_and_are_accessible(eye: Eye, theatre: Theatre) -> None:
    visitor = eye.visitor
    visitor.expected.append("409")
    await visitor.log_in(theatre.show.tenant.admin)
    await visitor.open("/console")
    await expect(visitor.page.locator(f'[data-reference="{theatre.reference}"]')).to_be_visible()
    await eye.looks_at("console")
    await visitor.open("/door")
    await expect(visitor.by("door-stats")).not_to_be_empty()
    await eye.looks_at("door")
    # The first look at a code lets its guest in; whoever looks later sees that the guest is inside.
    await visitor.by("code-input").fill(theatre.code)
    await visitor.by("check-in").click()
    await expect(visitor.by("check-result")).not_to_have_attribute("data-result", "")
    await eye.looks_at("door-scanned")
