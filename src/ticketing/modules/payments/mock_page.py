"""The mock provider's page of a payment: Pay and Decline, then what happens to paid money at a provider.

Plain HTML without scripts.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from string import Template
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from ticketing.infra import app_state
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.formats.currencies import format_money
from ticketing.modules import events, orders
from ticketing.modules.payments.mock import MockProvider, create_provider
from ticketing.modules.payments.models import Payment, PaymentStatus, Refund, RefundStatus
from ticketing.modules.payments.providers import ProviderUnreachable
from ticketing.modules.payments.queries import enter_by_reference, find_payment, list_refunds

FORM_BYTES_MAX = 4096
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
}
PAGE = Template(Path(__file__).with_name("mock_page.html").read_text(encoding="utf-8"))

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Bill:
    """What the page shows. Values are escaped where they are written into HTML."""

    payment: Payment
    reference: str
    event_title: str
    #: The chargeback whose dispute is open.
    chargeback: Refund | None

    @property
    def is_refundable(self) -> bool:
        payment = self.payment
        return payment.status == PaymentStatus.SUCCEEDED and payment.refunded_minor < payment.amount_minor

    @property
    def amount(self) -> str:
        return format_money(self.payment.amount_minor, self.payment.currency, "en")


async def find_bill(provider_ref: str, request: Request) -> Bill | None:
    """Return the payment and its order; None when the mock is off or the reference is unknown.

    The transaction ends before the page sends a webhook, which must find its rows unlocked.
    """
    if (
        create_provider(app_state.of(request.app).get(Settings)) is None
        or not provider_ref.isascii()
        or not provider_ref.isprintable()
    ):
        return None
    async with app_state.of(request.app).get(Database).transaction() as session:
        await enter_by_reference(session, MockProvider.name, provider_ref)
        payment = await find_payment(session, MockProvider.name, provider_ref)
        if payment is None:
            return None
        order = await orders.get_order(session, payment.order_id)
        event = await events.get_event(session, order.event_id)
        refunds = (await list_refunds(session, [payment]))[payment.id]
        disputed = next((refund for refund in refunds if refund.status == RefundStatus.DISPUTED), None)
        return Bill(payment, order.reference, event.title, disputed)


FoundBill = Annotated[Bill | None, Depends(find_bill)]


@router.get("/mock-pay/{provider_ref}")
async def show(bill: FoundBill) -> Response:
    """Show the amount with the buttons Pay and Decline."""
    return _page("Pay your order", _summary(bill) + _choice(bill)) if bill else _not_found()


@router.post("/mock-pay/{provider_ref}", max_body_size=FORM_BYTES_MAX)
async def choose(bill: FoundBill, request: Request) -> Response:
    """Send the webhook of the pressed button and redirect the buyer to the order."""
    provider = create_provider(app_state.of(request.app).get(Settings))
    if bill is None or provider is None:
        return _not_found()
    action = parse_qs((await request.body()).decode("utf-8", "replace")).get("action", [""])[0]
    send = _actions(provider, bill).get(action)
    if send is None:
        return _page("Pay your order", _summary(bill) + _note("Press one of the buttons.") + _choice(bill), 422)
    if bill.payment.status == PaymentStatus.CANCELLED:
        return _page("Pay your order", _summary(bill) + _choice(bill), 409)
    try:
        await send()
    except ProviderUnreachable:
        return _page("That did not get through", _summary(bill) + _delivery_error(action), 502)
    return RedirectResponse(f"/o/{bill.reference}", 303)


def _actions(provider: MockProvider, bill: Bill) -> dict[str, Callable[[], Awaitable[None]]]:
    """The buttons of the page with what they do."""
    payment, chargeback = bill.payment, bill.chargeback
    # Pressed again, Pay and Decline send an event that has been seen.
    actions: dict[str, Callable[[], Awaitable[None]]]
    actions = {"pay": partial(provider.pay, payment), "decline": partial(provider.decline, payment)}
    if bill.is_refundable:
        actions["refund"] = partial(provider.refund_at_provider, payment)
        actions["dispute"] = partial(provider.dispute, payment)
    if chargeback is not None:
        actions["win"] = partial(provider.end_dispute, payment, chargeback, True)
        actions["lose"] = partial(provider.end_dispute, payment, chargeback, False)
    return actions


def _summary(bill: Bill) -> str:
    return (
        f"<p>{escape(bill.event_title)}<br>Order <strong>{escape(bill.reference)}</strong></p>"
        f'<p><strong data-testid="amount">{escape(bill.amount)}</strong></p>'
    )


def _choice(bill: Bill) -> str:
    if bill.payment.status in {PaymentStatus.SUCCEEDED, PaymentStatus.REFUNDED}:
        back = f'<a class="button primary wide" href="/o/{escape(bill.reference)}">Back to your order</a>'
        return _note("This has been paid already.") + back + _afterwards(bill)
    if bill.payment.status == PaymentStatus.CANCELLED:
        return _note("This payment was cancelled: its seats were given back, or the event was cancelled.")
    return _form(_button("pay", "Pay", "primary wide") + _button("decline", "Decline", "wide"))


def _afterwards(bill: Bill) -> str:
    """What may happen at a provider after a payment; a real one shows it to the organizer only."""
    if bill.chargeback is not None:
        return _form(_button("win", "Win the dispute", "wide") + _button("lose", "Lose the dispute", "wide"))
    if bill.is_refundable:
        return _form(_button("refund", "Refund at the provider", "wide") + _button("dispute", "Dispute", "wide"))
    return ""


def _delivery_error(action: str) -> str:
    outcomes = {"pay": "The payment was not confirmed", "decline": "The refusal was not passed on"}
    outcome = outcomes.get(action, "The webhook was not delivered")
    note = _note(f"{outcome}: the ticket shop did not answer. Your order has not changed. You can safely try again.")
    return note + _form(_button(action, "Try again", "primary wide"))


def _form(buttons: str) -> str:
    return f'<form class="stack" method="post">{buttons}</form>'


def _button(action: str, label: str, classes: str) -> str:
    return f'<button class="button {classes}" name="action" value="{action}">{label}</button>'


def _note(text: str) -> str:
    return f'<p role="status">{escape(text)}</p>'


def _not_found() -> Response:
    return _page("No such payment", "<p>This address leads to no payment. Go back to your order to pay it.</p>", 404)


def _page(title: str, content: str, status: int = 200) -> Response:
    return HTMLResponse(PAGE.substitute(title=escape(title), content=content), status, HEADERS)
