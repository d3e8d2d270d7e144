"""Seating plans in the console: the preview of a file, its faults, and the move of an event to a new version."""

import json
from typing import Any

from playwright.async_api import FilePayload, expect

from tests.browser.axe import assert_accessible
from tests.browser.conftest import Visit
from tests.modules.venues.plans import plan, row
from tests.support.world import World, data


def file(document: dict[str, Any]) -> FilePayload:
    return {"name": "plan.json", "mimeType": "application/json", "buffer": json.dumps(document, indent=1).encode()}


def without_row(name: str, **changes: Any) -> dict[str, Any]:
    document = plan(**changes)
    [zone] = document["zones"]
    zone["rows"] = [row for row in zone["rows"] if row["row_number"] != name]
    return document


async def test_a_file_is_previewed_before_it_is_saved(visit: Visit, world: World) -> None:
    tenant = await world.tenant()
    visitor = await visit()
    visitor.expected.append("422")
    await visitor.log_in(tenant.admin)
    await visitor.open("/console")
    box = visitor.page.locator("details", has=visitor.by("venue-form"))
    await box.locator("summary").first.click()
    chooser, shown = box.locator("[name=plan]"), box.get_by_test_id("plan-preview")
    await chooser.set_input_files(file(plan(categories=[{"name": "Gold"}])))
    await expect(shown).to_contain_text("Nothing was saved.")
    await expect(shown.get_by_role("listitem").first).to_contain_text("line 34, column 20")
    await expect(shown.get_by_role("listitem")).to_have_count(6)
    await chooser.set_input_files(file(plan()))
    await expect(shown).to_contain_text("Small house 6 seats in 1 section")
    await expect(shown.get_by_test_id("plan-map")).to_be_visible()
    await assert_accessible(visitor.page)
    assert data(await tenant.admin.get(tenant.path("/venues"))) == []
    await box.locator("[name=name]").fill("My house")
    await shown.get_by_test_id("plan-save").click()
    await expect(visitor.by("notice")).to_contain_text("My house has 6 seats.")
    await expect(visitor.by("console-venue")).to_contain_text("My house")


async def test_an_event_moves_to_a_new_version_unless_it_loses_a_seat(visit: Visit, world: World) -> None:
    show, ada = await world.show(rows=2, seats=3), await world.person("ada")
    await world.hold(ada, show, "Stalls-A-1")
    visitor = await visit()
    await visitor.log_in(show.tenant.admin)
    await visitor.open("/console")
    venue_row, event = visitor.by("console-venue"), visitor.by("console-event")
    changes = event.get_by_test_id("console-plan")

    async def offer(document: dict[str, Any]) -> None:
        await venue_row.locator("summary").click()
        await venue_row.locator("[name=plan]").set_input_files(file(document))
        await venue_row.get_by_test_id("plan-save").click()
        await expect(venue_row.get_by_test_id("plan-save")).to_have_count(0)
        await visitor.page.reload()
        await event.locator("summary", has_text="Seating plan").click()

    await offer(without_row("A"))
    await expect(changes).to_contain_text("Not possible")
    await expect(changes).to_contain_text("Stalls-A-1 (held by someone)")
    await expect(visitor.by("plan-move")).to_have_count(0)
    await assert_accessible(visitor.page)
    document = without_row("B")
    document["zones"][0]["rows"].append(row("C", 4, 60))
    await offer(document)
    for text in ("3 seats stay", "4 seats are added", "3 free seats are removed"):
        await expect(changes).to_contain_text(text)
    await visitor.by("plan-move").click()
    await expect(visitor.by("notice")).to_contain_text("The event has version 3 of the plan.")
    await event.locator("summary", has_text="Seating plan").click()
    await expect(changes).to_contain_text("latest plan of its venue, version 3")
