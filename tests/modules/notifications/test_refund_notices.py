"""Emails to an organization's admins about money that moved at the payment provider, or could not."""

from uuid import UUID

from fastapi import FastAPI

from tests.modules.notifications.smtp_server import SmtpServer, body_of, link_in
from tests.modules.payments.provider_sale import ProviderSale
from tests.modules.payments.purchases import run
from tests.support.drain import drain
from tests.support.world import World, data
from ticketing.modules import notifications


async def test_admins_are_told_what_the_provider_did(app: FastAPI, world: World, smtp: SmtpServer) -> None:
    show = await world.show(rows=1, seats=3, title="Müller & <Söhne>")
    sale = ProviderSale(app, world, show, await world.person("ada"))
    second = await world.member(show.tenant, "ORG_ADMIN")
    staff = await world.member(show.tenant, "ORG_STAFF")
    await run(app, "update users set email_verified_at = now()")
    first_order, first = await sale.pay("Stalls-A-1")
    await sale.report("refund.created", first, amount=1000, reason="a note of <staff>")
    await sale.report("refund.failed", first, amount=1000, reason="account_closed")
    second_order, disputed = await sale.pay("Stalls-A-2")
    await sale.report("dispute.created", disputed, "dp_1", reason="fraudulent")
    await sale.report("dispute.won", disputed, "dp_1")
    third_order, lost = await sale.pay("Stalls-A-3")
    await sale.report("dispute.lost", lost, "dp_1")
    await drain(app)
    a, b, c = (order["reference"] for order in (first_order, second_order, third_order))
    expected = [
        f"€10.00 of order {a} was refunded at the payment provider",
        f"A refund of €10.00 has failed ({a})",
        f"€45.00 of order {b} was charged back",
        f"The dispute about order {b} was won",
        f"€45.00 of order {c} was charged back",
        f"The dispute about order {c} was lost",
    ]
    for admin in (sale.admin, second):
        assert [email["Subject"] for email in smtp.to(admin.email) if "/console" in body_of(email)] == expected
    notes = [body_of(email) for email in smtp.to(sale.admin.email)]
    assert any("The provider's reason: a note of <staff>" in note for note in notes)
    assert any("The provider's reason: account_closed" in note for note in notes)
    assert any("The provider's reason: fraudulent" in note for note in notes)
    assert "“Müller & <Söhne>”" in notes[-1]
    assert link_in(smtp.to(sale.admin.email)[-1]) == "http://127.0.0.1:8000/console"
    assert not any("/console" in body_of(email) for email in smtp.to(staff.email))
    assert not any("note of" in body_of(email) for email in smtp.to(sale.buyer.email)), "it is internal"


async def test_a_former_admin_is_told_nothing(app: FastAPI, world: World, smtp: SmtpServer) -> None:
    show = await world.show(rows=1, seats=1)
    sale = ProviderSale(app, world, show, await world.person("buyer"))
    order, payment = await sale.pay("Stalls-A-1")
    former = await world.member(show.tenant, "ORG_ADMIN")
    await sale.report("refund.succeeded", payment)
    (refund,) = data(await sale.admin.get(f"/payments/{payment['id']}"))["refunds"]
    request = notifications.RefundNoticeRequested(
        refund_id=refund["id"], order_id=order["id"], user_id=UUID(former.id), about="refund.recorded"
    )
    data(await sale.admin.delete(show.tenant.path(f"/members/{former.id}")))
    async with app.state.worker_database.transaction() as session:
        assert await notifications.compose_refund_notice(session, request) is None
