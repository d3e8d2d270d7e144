"""Amounts and times on the pages: shown as the API means them, and read strictly."""

from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Visit
from tests.support.world import World, data
from ticketing.infra.formats.currencies import DIGITS, format_money

CALL = (
    "async ([path, name, lists]) => { const f = (await import(path))[name]; return lists.map((each) => f(...each)); }"
)

#: Typed text, digits of the currency, language, and the amount in minor units or what is wrong with the text.
READINGS = [
    ("45", 2, "en", 4500),
    ("45.5", 2, "en", 4550),
    ("45.50", 2, "en", 4550),
    ("45,50", 2, "en", 4550),  # can only be decimals
    ("45,50", 2, "de", 4550),
    ("45.50", 2, "de", 4550),
    ("0", 2, "en", 0),
    (" 45 ", 2, "en", 4500),
    ("\N{FULLWIDTH DIGIT ONE}2", 2, "en", 1200),
    ("1,250", 2, "en", 125000),
    ("1.250", 2, "de", 125000),
    ("1,250.50", 2, "en", 125050),
    ("1.250,50", 2, "en", 125050),
    ("1 250,50", 2, "fr", 125050),
    ("1\N{RIGHT SINGLE QUOTATION MARK}250.50", 2, "de-CH", 125050),
    ("1,234,567", 0, "en", 1234567),
    ("4500", 0, "ja", 4500),
    ("1.250", 3, "en", 1250),
    ("1,250", 3, "en", "ambiguous"),
    ("1.250", 3, "de", "ambiguous"),
    ("1,250.000", 3, "en", 1250000),
    ("1.234", 2, "en", "too_fine"),
    ("1,234", 2, "de", "too_fine"),
    ("45.5", 0, "en", "too_fine"),
    ("", 2, "en", "blank"),
    ("   ", 2, "en", "blank"),
    ("0x10", 2, "en", "format"),
    ("1e3", 2, "en", "format"),
    ("-5", 2, "en", "format"),
    ("+5", 2, "en", "format"),
    ("007", 2, "en", "format"),
    (".5", 2, "en", "format"),
    ("5.", 2, "en", "format"),
    ("1,25,0", 2, "en", "format"),
    ("12,34.5", 2, "en", "format"),
    ("1,250'000", 2, "en", "format"),
    ("1.2.3", 2, "en", "format"),
    ("Infinity", 2, "en", "format"),
    ("€45", 2, "en", "format"),
    ("45 EUR", 2, "en", "format"),
    ("9999999999.99", 2, "en", 999999999999),
    ("99999999999.99", 2, "en", "too_large"),
    ("9" * 400, 2, "en", "too_large"),
]

#: Typed time, zone, and the moments at which the clock there shows it.
MOMENTS = [
    ("2030-06-01T19:30", "Europe/Berlin", ["2030-06-01T17:30:00.000Z"]),
    ("2030-06-01T19:30", "America/New_York", ["2030-06-01T23:30:00.000Z"]),
    ("2030-10-27T02:30", "Europe/Vienna", ["2030-10-27T00:30:00.000Z", "2030-10-27T01:30:00.000Z"]),
    ("2030-03-31T02:30", "Europe/Vienna", []),
    ("2031-04-06T01:45", "Australia/Lord_Howe", ["2031-04-05T14:45:00.000Z", "2031-04-05T15:15:00.000Z"]),
    ("2030-12-31T23:59", "Pacific/Kiritimati", ["2030-12-31T09:59:00.000Z"]),
    ("", "UTC", []),
]


async def _call(page: Page, module: str, name: str, lists: list[Any]) -> list[Any]:
    """The results of a function of a module, one for each list of arguments."""
    script = await page.locator("script[src*='/js/main.js']").get_attribute("src")
    path = str(script).replace("main.js", f"lib/{module}.js")
    found: list[Any] = await page.evaluate(CALL, [path, name, lists])
    return found


@pytest.mark.parametrize("locale", ["en-GB", "de-DE"])
async def test_every_currency_is_written_as_on_the_server(visit: Visit, locale: str) -> None:
    visitor = await visit(locale=locale)
    await visitor.open("/")
    prices = [{"amount": 1234567, "currency": currency, "digits": digits} for currency, digits in DIGITS.items()]
    shown = await _call(visitor.page, "money", "formatMoney", [[price] for price in prices])
    for price, text in zip(prices, shown, strict=True):
        server = format_money(price["amount"], price["currency"], "en")
        assert _number(text) == _number(server), f"{price['currency']}: {text} on the page, {server} on the server"


def _number(text: str) -> str:
    return "".join(each for each in text if each.isdigit() or each in ",.").strip(".")


async def test_typed_amounts_are_read_strictly(visit: Visit) -> None:
    visitor = await visit()
    await visitor.open("/")
    arguments = [[typed, digits, language] for typed, digits, language, _ in READINGS]
    results = await _call(visitor.page, "amount-input", "parseAmount", arguments)
    for (typed, digits, language, expected), result in zip(READINGS, results, strict=True):
        wanted = {"amount": expected} if isinstance(expected, int) else {"wrong": expected}
        assert result == wanted, f"{typed!r} with {digits} digits in {language}"


@pytest.mark.parametrize(("currency", "typed", "shown"), [("HUF", "4500", "HUF 4,500.00"), ("JPY", "4500", "¥4,500")])
async def test_a_price_is_shown_before_it_is_saved(
    visit: Visit, world: World, currency: str, typed: str, shown: str
) -> None:
    tenant = await world.tenant()
    body = {"title": "Late show", "starts_at": "2031-05-01T19:30:00Z", "timezone": "UTC", "currency": currency}
    event = data(await tenant.admin.post(tenant.path("/events"), body), 201)
    visitor = await visit(locale="en-US")
    await visitor.log_in(tenant.admin)
    await visitor.open("/console")
    await visitor.by("console-prices").locator("summary").click()
    form = visitor.by("price-form")
    await form.locator("[name=name]").fill("Standing")
    await form.locator("[name=capacity]").fill("10")
    for refused in ("1.2345", "", "0x10"):
        await form.locator("[name=price]").fill(refused)
        await form.locator("button").click()
        assert not await form.evaluate("form => form.checkValidity()")
    await form.locator("[name=price]").fill(typed)
    await expect(visitor.by("price-read")).to_have_text(shown)
    await form.locator("button").click()
    await expect(visitor.by("console-prices").locator("li strong")).to_have_text(shown)
    [saved] = data(await tenant.admin.get(tenant.path(f"/events/{event['id']}")))["ticket_types"]
    assert saved["price"] == {
        "amount": 450000 if currency == "HUF" else 4500,
        "currency": currency,
        "digits": DIGITS[currency],
    }


async def test_an_events_times_name_their_zone_where_the_readers_clock_differs(visit: Visit, world: World) -> None:
    show, ada = await world.show(title="Late show", rows=1, seats=6), await world.person("ada")
    order = await world.buy(ada, show, "Stalls-A-1")
    for timezone, expected in (("Europe/Amsterdam", "21:00"), ("America/New_York", "21:00 (Amsterdam time)")):
        visitor = await visit(timezone_id=timezone)
        await visitor.open_event(show.id)
        shown = visitor.page.locator(".event-head .facts span").first
        await expect(shown).to_have_text(f"Saturday, 1 June 2030 at {expected}")
        await visitor.log_in(ada)
        await visitor.open("/me")
        await expect(visitor.by("my-order")).to_contain_text(f"Sat 1 Jun, {expected} · Hall")
        await visitor.open(f"/o/{order['reference']}")
        await expect(visitor.page.locator(".order-head")).to_contain_text(f"{expected} · Hall")


async def test_the_browser_knows_every_moment_of_a_local_time(visit: Visit) -> None:
    visitor = await visit()
    await visitor.open("/")
    found = await _call(visitor.page, "zoned-time", "momentsOf", [[wall, zone] for wall, zone, _ in MOMENTS])
    assert found == [moments for *_, moments in MOMENTS]


async def test_the_console_reads_times_in_the_zone_of_the_venue(visit: Visit, world: World) -> None:
    show = await world.show()  # its venue is in Amsterdam
    visitor = await visit(timezone_id="America/New_York")
    await visitor.log_in(show.tenant.admin)
    await visitor.open("/console")
    form = visitor.by("event-form")
    await visitor.page.locator("details", has=form).locator("summary").first.click()
    await form.locator("[name=title]").fill("Typed abroad")
    await expect(form.locator("[name=timezone]")).to_be_hidden()
    starts = form.locator("[name=starts_at]")
    await expect(form).to_contain_text("Starts (Amsterdam time)")
    await starts.fill("2030-03-31T02:30")
    await expect(visitor.by("starts_at-read")).to_contain_text("The clock skips this time")
    await visitor.by("event-create").click()
    assert not await form.evaluate("form => form.checkValidity()")
    await starts.fill("2030-06-01T19:30")
    await expect(visitor.by("starts_at-read")).to_have_text("Saturday, 1 June 2030 at 19:30 (Amsterdam time)")
    await visitor.by("event-create").click()
    await expect(visitor.by("notice")).to_contain_text("“Typed abroad” is a draft.")

    await visitor.by("event-venue").select_option("")
    await form.locator("[name=timezone]").fill("Asia/Tokyo")
    await form.locator("[name=title]").fill("Without a venue")
    await starts.fill("2030-06-01T19:30")
    await visitor.by("event-create").click()
    await expect(visitor.by("notice")).to_contain_text("“Without a venue” is a draft.")
    listed = data(await show.tenant.admin.get(show.tenant.path("/events")))
    assert {each["title"]: (each["starts_at"], each["timezone"]) for each in listed if each["id"] != show.id} == {
        "Typed abroad": ("2030-06-01T17:30:00Z", "Europe/Amsterdam"),
        "Without a venue": ("2030-06-01T10:30:00Z", "Asia/Tokyo"),
    }
