"""The door page on a slow, a failing and a reordering network: the verdict shown is that of the code sent last."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx2
import pytest
from playwright.async_api import Route, expect

from tests.browser.axe import assert_accessible
from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor, context_options
from tests.support.platform import Platform, tickets_of
from tests.support.world import Person, World

CHECK_INS = "**/check-ins"
#: As the page shows a long code.
SHOWN_CHARACTERS = 8


@dataclass
class Door:
    """A scanner's account, and the codes of tickets that no test has used yet."""

    scanner: Person
    codes: list[str]


@pytest.fixture(scope="module")
async def door(platform: Platform) -> AsyncIterator[Door]:
    async with httpx2.AsyncClient(base_url=platform.url, timeout=30) as client:
        world = World(client)
        show, ada = await world.show(title="Late show", seats=0, capacity=20), await world.person("ada")
        order = await world.buy(ada, show, items=[{"ticket_type_id": show.area_type_id, "quantity": 10}])
        codes = [ticket["code"] for ticket in await tickets_of(ada, order, 10)]
        yield Door(await world.member(show.tenant, "ORG_SCANNER"), codes)


@dataclass
class Page:
    """The door page of a visitor; the answer to a code in `held` waits until its event is set."""

    visitor: Visitor
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    sent: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    #: Codes that the server gets and whose answers are lost.
    lost: set[str] = field(default_factory=set)

    async def answer(self, route: Route) -> None:
        body = json.loads(route.request.post_data or "{}")
        self.sent[body["code"]].append(body["nonce"])
        response = await route.fetch()
        if hold := self.held.get(body["code"]):
            await hold.wait()
        if body["code"] in self.lost:
            await route.abort()
        else:
            await route.fulfill(response=response)

    async def send(self, code: str) -> None:
        await self.visitor.by("code-input").fill(code)
        await self.visitor.by("code-input").press("Enter")

    async def expect_verdict(self, code: str, result: str) -> None:
        panel = self.visitor.by("check-result")
        await expect(panel).to_have_attribute("data-result", result)
        await expect(self.visitor.by("checked-code")).to_have_text(f"Code …{code[-SHOWN_CHARACTERS:]}")

    async def expect_earlier(self, code: str, result: str) -> None:
        line = self.visitor.by("earlier-scans").locator("li").filter(has_text=code[-SHOWN_CHARACTERS:])
        await expect(line).to_have_attribute("data-result", result)


async def open_door(visitor: Visitor, door: Door) -> Page:
    page = Page(visitor)
    await visitor.page.route(CHECK_INS, page.answer)
    await visitor.open("/door")
    await visitor.submit_log_in(door.scanner)
    await expect(visitor.by("door-stats")).not_to_be_empty()
    return page


@pytest.mark.parametrize("variant", ["phone-light", "phone-dark"])
async def test_a_verdict_is_cleared_the_moment_the_next_code_is_sent(visit: Visit, door: Door, variant: str) -> None:
    page = await open_door(await visit(**context_options(variant)), door)
    first, second = door.codes.pop(), door.codes.pop()
    await page.send(first)
    await page.expect_verdict(first, "admitted")
    page.held[second] = asyncio.Event()
    await page.send(second)
    await page.expect_verdict(second, "checking")
    await expect(page.visitor.by("check-result")).not_to_contain_text("Welcome")
    await page.expect_earlier(first, "admitted")
    await page.visitor.screenshot(f"door-checking-{variant}")
    await assert_accessible(page.visitor.page)
    page.held[second].set()
    await page.expect_verdict(second, "admitted")
    await page.visitor.screenshot(f"door-admitted-{variant}")


async def test_a_late_answer_does_not_replace_the_verdict_of_a_later_code(visit: Visit, door: Door) -> None:
    page = await open_door(await visit(), door)
    early, late = door.codes.pop(), "TK1.not.a.ticket"
    page.visitor.expected.append("422")
    page.held[early] = asyncio.Event()
    await page.send(early)
    await page.send(late)
    await page.expect_verdict(late, "invalid_code")
    await page.expect_earlier(early, "checking")
    page.held[early].set()
    await page.expect_earlier(early, "admitted")
    await page.expect_verdict(late, "invalid_code")


async def test_a_code_that_is_read_again_before_its_answer_is_one_scan(visit: Visit, door: Door) -> None:
    page = await open_door(await visit(), door)
    code = door.codes.pop()
    page.held[code] = asyncio.Event()
    await page.send(code)
    await page.send(code)
    await page.expect_verdict(code, "checking")
    page.held[code].set()
    await page.expect_verdict(code, "admitted")
    assert len(page.sent[code]) == 1
    page.visitor.expected.append("409")
    await page.send(code)
    await page.expect_verdict(code, "already_checked_in")


async def test_a_scan_whose_answer_was_lost_is_the_same_scan_when_it_is_repeated(visit: Visit, door: Door) -> None:
    page = await open_door(await visit(), door)
    page.visitor.expected.append("ERR_FAILED")
    code = door.codes.pop()
    page.lost.add(code)
    await page.send(code)
    await page.expect_verdict(code, "unanswered")
    await expect(page.visitor.by("check-result")).to_contain_text("Do not admit")
    page.lost.clear()
    await page.send(code)
    await page.expect_verdict(code, "admitted")
    assert len(set(page.sent[code])) == 1


@pytest.mark.parametrize("variant", ["phone-light", "phone-dark"])
async def test_the_page_says_when_it_is_offline(visit: Visit, door: Door, variant: str) -> None:
    visitor = await visit(**context_options(variant))
    page = await open_door(visitor, door)
    await visitor.page.unroute(CHECK_INS)
    visitor.expected.append("ERR_INTERNET_DISCONNECTED")
    note, code = visitor.by("door-offline"), door.codes.pop()
    await expect(note).to_be_hidden()
    await visitor.context.set_offline(True)
    await expect(note).to_be_visible()
    await page.send(code)
    await page.expect_verdict(code, "unanswered")
    await visitor.screenshot(f"door-offline-{variant}")
    await assert_accessible(visitor.page)
    await visitor.context.set_offline(False)
    await expect(note).to_be_hidden()
    await page.send(code)
    await page.expect_verdict(code, "admitted")


async def test_the_page_says_when_the_server_does_not_answer(visit: Visit, door: Door) -> None:
    visitor = await visit()
    await open_door(visitor, door)
    visitor.expected += ["ERR_FAILED", "503"]
    note = visitor.by("door-offline")
    for failure in (lambda route: route.abort(), lambda route: route.fulfill(status=503)):
        await visitor.page.route("**/check-ins/stats", failure)
        await expect(note).to_be_visible()
        await visitor.page.unroute("**/check-ins/stats")
        await expect(note).to_be_hidden()
