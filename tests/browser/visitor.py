"""Somebody at a browser: one private window with one page, and an ear for everything that goes wrong in it."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, ConsoleMessage, Locator, Page, Request, Response, expect

from tests.browser_support import screenshot_path
from tests.world import PASSWORD, Person

#: What a page cancels by leaving is no failure.
CANCELLED = "net::ERR_ABORTED"


@dataclass
class Visitor:
    """One person's window; `troubles` is what the browser complained about, `expected` what it may complain about."""

    url: str
    context: BrowserContext
    page: Page
    troubles: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Hear every complaint of the browser, a broken content security policy among them, and every request."""
        self.page.on("console", self._hear_console)
        self.page.on("pageerror", lambda error: self.troubles.append(f"script: {error}"))
        self.page.on("request", self._hear_request)
        self.page.on("requestfailed", self._hear_failure)
        self.page.on("response", self._hear_response)

    def _hear_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.troubles.append(f"console: {message.text} ({message.location.get('url')})")

    def _hear_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.url}/", f"blob:{self.url}/", "data:")):
            self.troubles.append(f"left the origin: {request.url}")

    def _hear_failure(self, request: Request) -> None:
        if request.failure != CANCELLED:
            self.troubles.append(f"failed: {request.url} {request.failure}")

    def _hear_response(self, response: Response) -> None:
        if response.status >= 500:
            self.troubles.append(f"answered {response.status}: {response.url}")

    async def open(self, path: str) -> None:
        await self.page.goto(f"{self.url}{path}")

    async def open_event(self, event_id: str) -> None:
        """Open an event's page and wait until its map or its counters are live."""
        await self.open(f"/e/{event_id}")
        await expect(self.page.locator('[data-stream="live"]')).to_be_attached()

    def by(self, testid: str) -> Locator:
        return self.page.get_by_test_id(testid)

    def seat(self, label: str) -> Locator:
        """The button of a seat in the list."""
        return self.page.locator(f'[data-seat="{label}"][data-number]')

    async def sees(self, label: str, state: str) -> None:
        """Wait until the list, as the screen reader hears it, shows this seat in this state."""
        await expect(self.seat(label)).to_have_attribute("data-state", state)

    async def fill_log_in(self, person: Person) -> None:
        """Fill the log-in form, wherever it stands, and send it."""
        await self.by("login-email").fill(person.email)
        await self.by("login-password").fill(PASSWORD)
        await self.by("login-submit").click()

    async def log_in(self, person: Person) -> None:
        await self.open("/login?next=/me")
        await self.fill_log_in(person)
        await self.page.wait_for_url(f"{self.url}/me")

    async def pay(self) -> str:
        """From the held seats through the mock provider's page to the order; its reference."""
        await self.by("pay-button").click()
        await self.page.locator("button[value=pay]").click()
        await self.page.wait_for_url("**/o/*")
        return urlsplit(self.page.url).path.removeprefix("/o/")

    async def sees_codes(self, count: int) -> None:
        """Wait until this many tickets show their QR codes, drawn and not just asked for."""
        drawn = "i => i.naturalWidth > 0"
        await self.page.wait_for_function(
            f"count => [...document.querySelectorAll('[data-testid=qr-image]')].filter({drawn}).length === count",
            arg=count,
        )

    async def picture(self, name: str) -> None:
        await self.page.screenshot(path=screenshot_path(name))

    def assert_quiet(self) -> None:
        """The browser complained about nothing but what the test has announced in `expected`."""
        left = [trouble for trouble in self.troubles if not any(words in trouble for words in self.expected)]
        assert not left, "\n".join(left)
