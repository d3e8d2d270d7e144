"""Erasure of a user's personal data. Orders are kept for accounting and tickets for admission, without a name."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db.timeouts import allow_long_statements
from ticketing.infra.errors import Conflict
from ticketing.infra.http import idempotency
from ticketing.modules import events, iam, orders, organizations, payments, reservations, tickets

#: Longer than any request or consumer that has read the user's data can still be running.
REPEAT_HOURS = 1


class TicketsLeft(Conflict):
    """You hold tickets for events to come: give them away, or say that you give them up."""

    code = "tickets_left"


async def erase(
    session: AsyncSession, person: iam.Identity, *, code: str | None = None, give_up_tickets: bool = False
) -> None:
    """Erase the account now; a consumer erases the personal data of orders and tickets within seconds.

    Raises:
        TicketsLeft: names the usable tickets, unless they are given up. They stay valid: admission needs no name.
        organizations.LastAdmin: names the organization.
        SecondFactorRequired, SecondFactorWrong: the account has a second factor.
    """
    if not give_up_tickets and (left := await tickets.personal_data.list_usable(session, person.user_id)):
        raise TicketsLeft(tickets=[{"id": t.id, "event_id": t.event_id, "seat": t.seat_label} for t in left])
    await allow_long_statements(session)
    # The lock order of `orders.service`.
    await reservations.personal_data.cancel_active(session, person.user_id)
    await organizations.personal_data.leave_all_organizations(session, person)
    await iam.personal_data.erase_account(session, person.user_id, code)
    await idempotency.forget(session, f"user:{person.user_id}")


async def forget_person(session: AsyncSession, message: iam.UserErased) -> None:
    """Erase a user from the rows of every tenant. Idempotent and independent of message order.

    A ticket that is issued later copies the name from the order, which is empty by then.
    """
    await _forget(session, [message.user_id])


async def forget_identities(session: AsyncSession, message: events.EventCompleted | events.EventCancelled) -> None:
    """Erase what erasures have left for the purchase limit of an event that is now over."""
    organization_id, event_id = message.organization_id, message.event_id
    assert organization_id is not None  # an event belongs to an organization
    await orders.personal_data.forget_identities(session, organization_id, event_id)
    await reservations.personal_data.forget_identities(session, organization_id, event_id)


async def finish_erasures(session: AsyncSession) -> None:
    """Repeat the erasure of recently erased users.

    An order can be placed in the two seconds by which an access token outlives its session, and a ticket transferred to
    a user during the erasure. Neither is excluded by a lock, so both are erased here.
    """
    if user_ids := await iam.personal_data.list_recently_erased(session, REPEAT_HOURS):
        await _forget(session, user_ids)


async def _forget(session: AsyncSession, user_ids: Collection[UUID]) -> None:
    # The lock order of `orders.service`, over all users. Orders come first because issuing tickets locks the order and
    # then copies the name from it.
    await orders.personal_data.forget_buyer(session, user_ids)
    await tickets.personal_data.forget_holder(session, user_ids)
    for user_id in user_ids:
        await payments.personal_data.forget_payer(session, user_id)
    await reservations.personal_data.forget_buyer(session, user_ids)
    for user_id in user_ids:
        await idempotency.forget(session, f"user:{user_id}")
