"""Export of a user's memberships, keys and audit entries, and leaving every organization."""

from uuid import UUID

from sqlalchemy import Uuid, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import tenancy
from ticketing.infra.db.personal_data import Part, Rows
from ticketing.modules import iam
from ticketing.modules.organizations.invitations import end_invitations, list_mine
from ticketing.modules.organizations.members import LastAdmin, remove_member
from ticketing.modules.organizations.models import ApiKey, AuditEntry, Invitation, Member, Role, SupportAgent
from ticketing.modules.organizations.permissions import Access
from ticketing.modules.organizations.queries import list_memberships


def actor_of(user_id: UUID) -> str:
    """Return the name of a user as actor or subject in the audit log."""
    return f"user:{user_id}"


def _memberships(user_id: UUID) -> Rows:
    columns = (Member.organization_id, Member.role, Member.created_at)
    return select(*columns).where(Member.user_id == user_id).order_by(Member.organization_id)


def _platform_roles(user_id: UUID) -> Rows:
    return select(SupportAgent.granted_at).where(SupportAgent.user_id == user_id)


def _keys_made(user_id: UUID) -> Rows:
    columns = (ApiKey.organization_id, ApiKey.id, ApiKey.name, ApiKey.prefix, ApiKey.role, ApiKey.created_at)
    return select(*columns).where(ApiKey.created_by == user_id).order_by(ApiKey.id)


_ENTRY = (AuditEntry.organization_id, AuditEntry.id, AuditEntry.created_at, AuditEntry.action)
_CHANGE = (AuditEntry.subject, AuditEntry.before, AuditEntry.after)


def _done_by(user_id: UUID) -> Rows:
    columns = (*_ENTRY, *_CHANGE, AuditEntry.actor, AuditEntry.address, AuditEntry.user_agent)
    return select(*columns).where(AuditEntry.actor == actor_of(user_id)).order_by(AuditEntry.id)


def _done_to(user_id: UUID) -> Rows:
    # Without the actor and its client, which are personal data of another user.
    mine = (AuditEntry.subject == actor_of(user_id)) & (AuditEntry.actor != actor_of(user_id))
    return select(*_ENTRY, *_CHANGE).where(mine).order_by(AuditEntry.id)


def _invitations(user_id: UUID) -> Rows:
    columns = (Invitation.organization_id, Invitation.email, Invitation.role, Invitation.created_at)
    # Only those of a verified address: they are its owner's. Row-level security has the same rule.
    is_theirs = (iam.User.id == user_id) & iam.User.email_verified_at.is_not(None)
    query = select(*columns).join(iam.User, iam.User.email_normalized == Invitation.email)
    return query.where(is_theirs).order_by(Invitation.id)


PARTS = (
    Part("memberships", _memberships, Member.organization_id),
    Part("invitations", _invitations),
    Part("platform_roles", _platform_roles),
    Part("api_keys_made", _keys_made, ApiKey.organization_id),
    Part("audit_entries_caused", _done_by, AuditEntry.organization_id),
    Part("audit_entries_about", _done_to, AuditEntry.organization_id),
)


async def list_workplaces(session: AsyncSession) -> set[UUID]:
    """Return the organizations of the caller's current and former memberships, found by their audit entries.

    A database function bypasses row-level security here, restricted to the caller's own entries.
    """
    return set(await session.scalars(select(func.organizations_of_trace(type_=Uuid))))


async def leave_all_organizations(session: AsyncSession, person: iam.Identity) -> None:
    """End every membership, invitation and platform role of a user.

    Raises:
        LastAdmin: names the organization that would be left without an admin.
    """
    for invitation, _ in await list_mine(session, person.user_id):
        await tenancy.enter(session, invitation.organization_id)
        invited = Access(invitation.organization_id, person.actor, person.user_id, Role(invitation.role))
        await end_invitations(session, invited, Invitation.id == invitation.id, "invitation.declined")
    for member, organization in await list_memberships(session, person.user_id):
        await tenancy.enter(session, organization.id)
        access = Access(organization.id, person.actor, person.user_id, member.role)
        try:
            await remove_member(session, access, person.user_id)
        except LastAdmin as error:
            raise LastAdmin(organization={"id": organization.id, "name": organization.name}) from error
    await session.execute(delete(SupportAgent).where(SupportAgent.user_id == person.user_id))
