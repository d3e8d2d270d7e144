"""What organizations hold of a person, and how somebody leaves all of them."""

from uuid import UUID

from sqlalchemy import Uuid, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import tenancy
from ticketing.infra.personal_data import Part, Rows
from ticketing.modules import iam
from ticketing.modules.organizations.members import LastAdmin, remove_member
from ticketing.modules.organizations.models import ApiKey, AuditEntry, Member, SupportPerson
from ticketing.modules.organizations.permissions import Access
from ticketing.modules.organizations.queries import list_memberships


def actor_of(user_id: UUID) -> str:
    """How a person stands in the audit log, as actor and as subject."""
    return f"user:{user_id}"


def _memberships(user_id: UUID) -> Rows:
    columns = (Member.organization_id, Member.role, Member.created_at)
    return select(*columns).where(Member.user_id == user_id).order_by(Member.organization_id)


def _platform_roles(user_id: UUID) -> Rows:
    return select(SupportPerson.granted_at).where(SupportPerson.user_id == user_id)


def _keys_made(user_id: UUID) -> Rows:
    columns = (ApiKey.organization_id, ApiKey.id, ApiKey.name, ApiKey.prefix, ApiKey.role, ApiKey.created_at)
    return select(*columns).where(ApiKey.created_by == user_id).order_by(ApiKey.id)


_ENTRY = (AuditEntry.organization_id, AuditEntry.id, AuditEntry.created_at, AuditEntry.action)
_CHANGE = (AuditEntry.subject, AuditEntry.before, AuditEntry.after)


def _done_by(user_id: UUID) -> Rows:
    columns = (*_ENTRY, *_CHANGE, AuditEntry.actor, AuditEntry.address, AuditEntry.user_agent)
    return select(*columns).where(AuditEntry.actor == actor_of(user_id)).order_by(AuditEntry.id)


def _done_to(user_id: UUID) -> Rows:
    # Without who did it and from where: that is about somebody else.
    mine = (AuditEntry.subject == actor_of(user_id)) & (AuditEntry.actor != actor_of(user_id))
    return select(*_ENTRY, *_CHANGE).where(mine).order_by(AuditEntry.id)


PARTS = (
    Part("memberships", _memberships, Member.organization_id),
    Part("platform_roles", _platform_roles),
    Part("api_keys_made", _keys_made, ApiKey.organization_id),
    Part("audit_entries_caused", _done_by, AuditEntry.organization_id),
    Part("audit_entries_about", _done_to, AuditEntry.organization_id),
)


async def list_workplaces(session: AsyncSession) -> set[UUID]:
    """The organizations where the caller works or has worked, by the trace that every membership leaves.

    A function of the database's looks into every tenant: their own right to know is what lets them.
    """
    return set(await session.scalars(select(func.organizations_of_trace(type_=Uuid))))


async def leave_everything(session: AsyncSession, person: iam.Identity) -> None:
    """End every membership and platform role of a person.

    Raises:
        LastAdmin: naming the organization that would be left without one; somebody else has to become admin first.
    """
    for member, organization in await list_memberships(session, person.user_id):
        await tenancy.enter(session, organization.id)
        access = Access(organization.id, person.actor, person.user_id, member.role)
        try:
            await remove_member(session, access, person.user_id)
        except LastAdmin as error:
            raise LastAdmin(organization={"id": organization.id, "name": organization.name}) from error
    await session.execute(delete(SupportPerson).where(SupportPerson.user_id == person.user_id))
