"""A person is taken out of everything. What was paid for stays: orders for the books, tickets for the door."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db.timeouts import allow_long_statements
from ticketing.infra.errors import Conflict
from ticketing.infra.http import idempotency
from ticketing.modules import iam, orders, organizations, payments, reservations, tickets

#: Longer than any request or consumer that knew the person by name can still be under way.
LEFTOVER_HOURS = 1


class TicketsLeft(Conflict):
    """You hold tickets for events to come: give them away, or say that you give them up."""

    code = "tickets_left"


async def erase(
    session: AsyncSession, person: iam.Identity, *, code: str | None = None, give_up_tickets: bool = False
) -> None:
    """Empty the account now; what orders and tickets say of the person is forgotten by the consumer, in seconds.

    Raises:
        TicketsLeft: naming them, unless they are given up. They are not voided: a ticket that admits needs no name.
        organizations.LastAdmin: naming the organization.
        SecondFactorRequired, SecondFactorWrong: the person has a second factor.
    """
    if not give_up_tickets and (left := await tickets.personal_data.list_usable(session, person.user_id)):
        raise TicketsLeft(tickets=[{"id": t.id, "event_id": t.event_id, "seat": t.seat_label} for t in left])
    await allow_long_statements(session)
    # Seats, then organizations, then the person: the order in which everybody else takes these locks.
    await reservations.personal_data.cancel_active(session, person.user_id)
    await organizations.personal_data.leave_everything(session, person)
    await iam.personal_data.erase_account(session, person.user_id, code)
    await idempotency.forget(session, f"user:{person.user_id}")


async def forget_person(session: AsyncSession, message: iam.UserErased) -> None:
    """Take an erased person out of every tenant's rows. Twice is once, and the order in which facts arrive is all one:

    a ticket that is issued later finds an order without a name.
    """
    await _forget(session, message.user_id)


async def finish_erasures(session: AsyncSession) -> None:
    """Once more for everybody who was erased lately.

    An order may be made in the two seconds in which an access token outlives its session, and a ticket transferred to
    somebody who is being erased: neither waits for us, so we look again.
    """
    for user_id in await iam.personal_data.list_lately_erased(session, LEFTOVER_HOURS):
        await _forget(session, user_id)


async def _forget(session: AsyncSession, user_id: UUID) -> None:
    # Orders first: whoever issues tickets locks the order, and then reads the name from it.
    await orders.personal_data.forget_buyer(session, user_id)
    await tickets.personal_data.forget_holder(session, user_id)
    await reservations.personal_data.forget_buyer(session, user_id)
    await payments.personal_data.forget_payer(session, user_id)
    await idempotency.forget(session, f"user:{user_id}")
