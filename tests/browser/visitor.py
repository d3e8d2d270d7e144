"""A browser window with one page and its own session, which records every problem that the browser reports."""

from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, ConsoleMessage, Locator, Page, Request, Response, expect

from tests.support.browser import screenshot_path
from tests.support.world import PASSWORD, Person

#: Requests cancelled by leaving a page are not failures.
CANCELLED = "net::ERR_ABORTED"

#: Screen sizes and colour schemes in which the pages are checked.
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1440, "height": 900}
VARIANTS = ("phone-light", "phone-dark", "desk-light", "desk-dark")


def context_options(variant: str) -> dict[str, Any]:
    """Playwright's options of a browser context for one of `VARIANTS`."""
    size, scheme = variant.split("-")
    phone = {"viewport": PHONE, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
    options = phone if size == "phone" else {"viewport": DESK}
    return {**options, "color_scheme": scheme, "reduced_motion": "reduce"}


@dataclass
class Visitor:
    """One window. A reported problem fails the test unless it contains one of the texts in `expected`."""

    url: str
    context: BrowserContext
    page: Page
    problems: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Record console errors (including violations of the content security policy), failed and foreign requests."""
        self.page.on("console", self._record_console)
        self.page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))
        self.page.on("request", self._record_request)
        self.page.on("requestfailed", self._record_failure)
        self.page.on("response", self._record_response)

    def _record_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.problems.append(f"console: {message.text} ({message.location.get('url')})")

    def _record_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.url}/", f"blob:{self.url}/", "data:")):
            self.problems.append(f"request to another origin: {request.url}")

    def _record_failure(self, request: Request) -> None:
        if request.failure != CANCELLED:
            self.problems.append(f"failed: {request.url} {request.failure}")

    def _record_response(self, response: Response) -> None:
        if response.status >= 500:
            self.problems.append(f"status {response.status}: {response.url}")

    async def open(self, path: str) -> None:
        await self.page.goto(f"{self.url}{path}")

    async def open_tab(self) -> Self:
        """Another tab of the same browser, whose problems count as those of this one."""
        tab = type(self)(self.url, self.context, await self.context.new_page(), self.problems, self.expected)
        tab.listen()
        return tab

    async def open_event(self, event_id: str) -> None:
        """Open an event's page and wait until its map or its counters are live."""
        await self.open(f"/e/{event_id}")
        await expect(self.page.locator('[data-stream="live"]')).to_be_attached()

    def by(self, testid: str) -> Locator:
        return self.page.get_by_test_id(testid)

    def seat(self, label: str) -> Locator:
        """The button of a seat in the list."""
        return self.page.locator(f'[data-seat="{label}"][data-number]')

    async def expect_status(self, label: str, status: str) -> None:
        """Wait until the list shows the seat with this status."""
        await expect(self.seat(label)).to_have_attribute("data-state", status)

    async def submit_log_in(self, person: Person) -> None:
        """Fill and submit the log-in form of the page or dialog."""
        await self.by("login-email").fill(person.email)
        await self.by("login-password").fill(PASSWORD)
        await self.by("login-submit").click()

    async def log_in(self, person: Person) -> None:
        await self.open("/login?next=/me")
        await self.submit_log_in(person)
        await self.page.wait_for_url(f"{self.url}/me")

    async def pay(self) -> str:
        """Pay the held seats on the mock provider's page; return the reference of the order."""
        await self.by("pay-button").click()
        await self.page.locator("button[value=pay]").click()
        await self.page.wait_for_url("**/o/*")
        return urlsplit(self.page.url).path.removeprefix("/o/")

    async def expect_qr_codes(self, count: int) -> None:
        """Wait until `count` tickets show their QR codes, with the images loaded."""
        drawn = "i => i.naturalWidth > 0"
        await self.page.wait_for_function(
            f"count => [...document.querySelectorAll('[data-testid=qr-image]')].filter({drawn}).length === count",
            arg=count,
        )

    async def screenshot(self, name: str) -> None:
        await self.page.screenshot(path=screenshot_path(name))

    def assert_no_problems(self) -> None:
        """Fail if the browser reported a problem that the test does not expect."""
        unexpected = [problem for problem in self.problems if not any(text in problem for text in self.expected)]
        assert not unexpected, "\n".join(unexpected)
