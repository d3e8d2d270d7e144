"""The mock provider's own pages: what is to be paid, Pay, Decline, and what went wrong. Plain HTML, no script."""

from dataclasses import dataclass
from decimal import Decimal
from html import escape
from pathlib import Path
from string import Template
from typing import Annotated
from urllib.parse import parse_qs

from babel.numbers import format_currency, get_currency_precision
from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from ticketing.infra import app_state
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.modules import events, orders
from ticketing.modules.payments.mock import MockProvider, make
from ticketing.modules.payments.models import Payment, PaymentStatus
from ticketing.modules.payments.providers import ProviderUnreachable
from ticketing.modules.payments.queries import enter_by_reference, find_payment

FORM_BYTES_MAX = 4096
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
}
SHELL = Template(Path(__file__).with_name("mock_page.html").read_text(encoding="utf-8"))

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Bill:
    """What the page shows; all of it is escaped where it is written."""

    payment: Payment
    reference: str
    event_title: str

    @property
    def amount(self) -> str:
        exponent = -get_currency_precision(self.payment.currency)
        value = Decimal(self.payment.amount_minor).scaleb(exponent)
        return str(format_currency(value, self.payment.currency, locale="en"))


async def find_bill(provider_ref: str, request: Request) -> Bill | None:
    """The payment with what it is for; None when the mock is off here, or nothing has this reference.

    The transaction is over before the page sends anything: the webhook is to find its rows unlocked.
    """
    if (
        make(app_state.of(request.app).get(Settings)) is None
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
        return Bill(payment, order.reference, event.title)


FoundBill = Annotated[Bill | None, Depends(find_bill)]


@router.get("/mock-pay/{provider_ref}")
async def show(bill: FoundBill) -> Response:
    """What is to be paid, with Pay and Decline."""
    return _page("Pay your order", _facts(bill) + _choice(bill)) if bill else _lost()


@router.post("/mock-pay/{provider_ref}", max_body_size=FORM_BYTES_MAX)
async def choose(bill: FoundBill, request: Request) -> Response:
    """Tell the platform what the buyer chose, then lead them back to their order."""
    provider = make(app_state.of(request.app).get(Settings))
    if bill is None or provider is None:
        return _lost()
    action = parse_qs((await request.body()).decode("utf-8", "replace")).get("action", [""])[0]
    send = {"pay": provider.pay, "decline": provider.decline}.get(action)
    if send is None:
        return _page("Pay your order", _facts(bill) + _note("Choose Pay or Decline.") + _choice(bill), 422)
    try:
        await send(bill.payment)
    except ProviderUnreachable:
        return _page("That did not get through", _facts(bill) + _trouble(action), 502)
    return RedirectResponse(f"/o/{bill.reference}", 303)


def _facts(bill: Bill) -> str:
    return (
        f"<p>{escape(bill.event_title)}<br>Order <strong>{escape(bill.reference)}</strong></p>"
        f'<p><strong data-testid="amount">{escape(bill.amount)}</strong></p>'
    )


def _choice(bill: Bill) -> str:
    if bill.payment.status in {PaymentStatus.SUCCEEDED, PaymentStatus.REFUNDED}:
        back = f'<a class="button primary wide" href="/o/{escape(bill.reference)}">Back to your order</a>'
        return _note("This has been paid already.") + back
    return _form(_button("pay", "Pay", "primary wide") + _button("decline", "Decline", "wide"))


def _trouble(action: str) -> str:
    said = "The payment was not confirmed" if action == "pay" else "The refusal was not passed on"
    note = _note(f"{said}: the ticket shop did not answer. Your order has not changed. You can safely try again.")
    return note + _form(_button(action, "Try again", "primary wide"))


def _form(buttons: str) -> str:
    return f'<form class="stack" method="post">{buttons}</form>'


def _button(action: str, words: str, look: str) -> str:
    return f'<button class="button {look}" name="action" value="{action}">{words}</button>'


def _note(words: str) -> str:
    return f'<p role="status">{escape(words)}</p>'


def _lost() -> Response:
    return _page("No such payment", "<p>This address leads to no payment. Go back to your order to pay it.</p>", 404)


def _page(title: str, content: str, status: int = 200) -> Response:
    return HTMLResponse(SHELL.substitute(title=escape(title), content=content), status, HEADERS)
