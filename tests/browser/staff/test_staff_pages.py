"""The organizer's console and the door page."""

from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.support.platform import tickets_of
from tests.support.world import World, data, invitation_token
from ticketing.infra.config import get_settings


async def test_an_organizer_sees_the_event_and_its_orders(visit: Visit, world: World) -> None:
    show, ada = await world.show(title="Late show", rows=1, seats=6), await world.person("ada")
    order = await world.buy(ada, show, "Stalls-A-1", "Stalls-A-2")
    visitor = await visit()
    await visitor.open("/console")
    await visitor.submit_log_in(show.tenant.admin)
    event = visitor.by("console-event")
    await expect(event).to_contain_text("Late show")
    await expect(event).to_contain_text("4 of 6 left")
    row = visitor.page.locator(f'[data-reference="{order["reference"]}"]')
    for text in ("Ada Byron", ada.email, "Late show", "paid", "€90.00"):
        await expect(row).to_contain_text(text)


async def test_an_organizer_publishes_an_event(visit: Visit, world: World) -> None:
    show = await world.show(title="Draft", rows=1, seats=6, publish=False)
    visitor = await visit()
    visitor.page.on("dialog", lambda dialog: dialog.accept())
    await visitor.log_in(show.tenant.admin)
    await visitor.open("/console")
    await visitor.by("console-publish").click()
    await expect(visitor.by("notice")).to_contain_text("“Draft” is on sale.")
    await expect(visitor.by("console-event")).to_contain_text("on sale")
    assert data(await world.client.get(f"/api/v1/events/{show.id}"))["status"] == "published"


async def test_a_quota_is_shown_in_the_words_of_the_server(visit: Visit, world: World) -> None:
    tenant, limit = await world.tenant(), get_settings().organizations_per_person_max
    for number in range(1, limit):
        data(await tenant.admin.post("/orgs", {"name": "More", "slug": f"{tenant.slug}-{number}"}), 201)
    visitor = await visit()
    visitor.expected.append("422")
    await visitor.log_in(tenant.admin)
    await visitor.open("/console")
    box = visitor.page.locator("details", has=visitor.by("org-form"))
    await box.locator("summary").click()
    await visitor.by("org-form").locator("[name=name]").fill("One more")
    await visitor.by("org-form").locator("button").click()
    await expect(visitor.by("notice")).to_contain_text(f"A person may have at most {limit} organizations")


async def test_a_code_is_admitted_once(visit: Visit, world: World) -> None:
    show, ada = await world.show(title="Late show", rows=1, seats=6), await world.person("ada")
    scanner = await world.member(show.tenant, "ORG_SCANNER")
    order = await world.buy(ada, show, "Stalls-A-1")
    [ticket] = await tickets_of(ada, order, 1)
    visitor = await visit()
    visitor.expected.append("409")
    await visitor.open("/door")
    await visitor.submit_log_in(scanner)
    await visitor.by("door-gate").fill("North")
    result = visitor.by("check-result")
    for text, outcome in (("Welcome", "admitted"), ("Already inside", "already_checked_in")):
        # A hand scanner types the code and presses Enter.
        await visitor.by("code-input").fill(ticket["code"])
        await visitor.by("code-input").press("Enter")
        await expect(result).to_have_attribute("data-result", outcome)
        await expect(result).to_contain_text(text)
    await expect(result).to_contain_text("North")
    await expect(visitor.by("door-stats")).to_have_text("1 of 1 inside")


async def test_an_invitation_is_accepted_and_left_again(visit: Visit, world: World) -> None:
    tenant, ada = await world.tenant(), await world.person("ada")
    body = {"email": ada.email, "role": "ORG_STAFF"}
    invitation = data(await tenant.admin.post(tenant.path("/invitations"), body), 201)
    visitor = await visit()
    visitor.page.on("dialog", lambda dialog: dialog.accept())
    await visitor.open(f"/account/invitation#{invitation_token(invitation['id'])}")
    await expect(visitor.by("invitation-offer")).to_have_text("Tenant invites you as staff.")
    await visitor.submit_log_in(ada)
    await visitor.by("account-submit").click()
    await expect(visitor.by("account-outcome")).to_have_text("Welcome")
    await visitor.screenshot("invitation-accepted")
    await visitor.open("/me")
    await expect(visitor.by("memberships")).to_contain_text("Tenant · staff")
    await visitor.screenshot("memberships")
    await visitor.by("membership-leave").click()
    await expect(visitor.by("membership-leave")).to_have_count(0)
    assert data(await ada.get("/me"))["memberships"] == []
