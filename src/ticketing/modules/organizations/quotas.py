"""Quotas: how many rows of a kind one organization, event or person may have. The limits are settings.

A row is inserted first and counted after it, under an advisory lock of its quota that is kept until the commit: of two
requests at once, the second counts what the first has committed. The lock comes last, so no row is waited for under it.
"""

from collections.abc import Sequence
from enum import Enum
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.config import get_settings
from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import DriverConnection, send
from ticketing.infra.errors import TicketingError

#: Selects the number that a quota limits.
Count = Select[int]


class QuotaExceeded(TicketingError):
    """There are as many of these as there may be."""

    status, code = 422, "limit_exceeded"


class Quota(Enum):
    """What is counted, for whom, and the setting with the limit. A transaction with several takes them in this order.

    The names in lower case are public: they are the `counted` of a refusal.
    """

    ORGANIZATIONS = ("organizations of which they are an admin", "A person", "organizations_per_person_max")
    MEMBERS = ("members, open invitations included", "An organization", "members_per_organization_max")
    API_KEYS = ("API keys that are in use", "An organization", "api_keys_per_organization_max")
    VENUES = ("venues", "An organization", "venues_per_organization_max")
    PLAN_SEATS = ("seats in all its venues", "An organization", "plan_seats_per_organization_max")
    EVENTS = ("events, past ones included", "An organization", "events_per_organization_max")
    DRAFTS = ("drafts of events", "An organization", "drafts_per_organization_max")
    EVENT_SEATS = ("seats in all its events, past ones included", "An organization", "event_seats_per_organization_max")
    TICKET_TYPES = ("ticket types", "An event", "ticket_types_per_event_max")
    DEVICES = ("devices that are in use", "An event", "devices_per_event_max")
    WEBHOOKS = ("webhooks", "An organization", "webhooks_per_organization_max")

    def __init__(self, noun: str, owner: str, setting: str) -> None:
        self.noun, self.owner, self.setting = noun, owner, setting

    @property
    def limit(self) -> int:
        limit: int = getattr(get_settings(), self.setting)
        return limit

    def refusal(self, error: type[QuotaExceeded] = QuotaExceeded) -> QuotaExceeded:
        message = f"{self.owner} may have at most {self.limit:,} {self.noun}."
        return error(message, counted=self.name.lower(), limit=self.limit)


async def check_quota(
    session: AsyncSession, quota: Quota, owner_id: UUID, count: Count, error: type[QuotaExceeded] = QuotaExceeded
) -> None:
    """Check a quota after the insert, and keep others from inserting the same kind until the transaction ends.

    Raises:
        QuotaExceeded: with `counted` and `limit`; the caller's transaction must not commit.
    """
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(_lock_of(quota, owner_id), 0))))
    # A statement of its own: its snapshot is newer than the commit of the lock's previous holder.
    if (await session.execute(count)).scalar_one() > quota.limit:
        raise quota.refusal(error)


async def query_quota(
    connection: DriverConnection, quota: Quota, owner_id: UUID, count: str, *values: object
) -> PendingQuery[None]:
    """Send what `check_quota` does, in the round trip of the insert; raises the same when it is fetched."""
    await send(connection, "select pg_advisory_xact_lock(hashtextextended(%s, 0))", _lock_of(quota, owner_id))

    def check(counted: Sequence[tuple[int]]) -> None:
        if counted[0][0] > quota.limit:
            raise quota.refusal()

    return PendingQuery(check, await send(connection, count, *values))


def _lock_of(quota: Quota, owner_id: UUID) -> str:
    return f"quota:{quota.name}:{owner_id}"


async def foresee_quota(session: AsyncSession, quota: Quota, count: Count, added: int = 0) -> None:
    """Refuse at once what `check_quota` would refuse after thousands of rows were inserted. Takes no lock.

    Raises:
        QuotaExceeded: with `counted` and `limit`.
    """
    if (await session.execute(count)).scalar_one() + added > quota.limit:
        raise quota.refusal()
