"""Messages about tenants, ordered per tenant."""

from typing import ClassVar
from uuid import UUID

from pydantic import Field

from ticketing.infra.outbox import Message
from ticketing.modules.organizations.models import ProviderRefundTickets, Role


class _TenantMessage(Message):
    key_field: ClassVar[str] = "organization_id"

    organization_id: UUID


class OrganizationCreated(_TenantMessage):
    """A tenant was created."""

    topic: ClassVar[str] = "organization.created"

    name: str
    slug: str


class OrganizationUpdated(_TenantMessage):
    """The name, slug or a setting of a tenant was changed."""

    topic: ClassVar[str] = "organization.updated"
    subject_field: ClassVar[str | None] = "organization_id"

    name: str
    slug: str
    buyer_data_days: int | None = Field(
        None, description="days after an event until its buyers' names are erased; null: kept"
    )
    provider_refund_tickets: ProviderRefundTickets = Field(
        ProviderRefundTickets.KEEP,
        description="what happens to the tickets of an order whose money has all gone back at the payment provider",
    )


class MemberInvited(_TenantMessage):
    """An address was invited; the row `invitation_id` has it."""

    topic: ClassVar[str] = "member.invited"

    invitation_id: UUID


class InvitationEnded(_TenantMessage):
    """An invitation was declined or withdrawn."""

    topic: ClassVar[str] = "invitation.ended"

    invitation_id: UUID


class MemberAdded(_TenantMessage):
    """A user became a member of an organization."""

    topic: ClassVar[str] = "member.added"

    user_id: UUID
    role: Role


class MemberRoleChanged(_TenantMessage):
    """The role of a member was changed."""

    topic: ClassVar[str] = "member.role_changed"

    user_id: UUID
    role: Role


class MemberRemoved(_TenantMessage):
    """A membership ended."""

    topic: ClassVar[str] = "member.removed"

    user_id: UUID


class SupportGranted(Message):
    """A user may read every organization."""

    topic: ClassVar[str] = "support.granted"
    key_field: ClassVar[str] = "user_id"

    user_id: UUID


class SupportRevoked(Message):
    """A user may no longer read organizations without being a member."""

    topic: ClassVar[str] = "support.revoked"
    key_field: ClassVar[str] = "user_id"

    user_id: UUID


class ApiKeyCreated(_TenantMessage):
    """An API key was created."""

    topic: ClassVar[str] = "api_key.created"

    api_key_id: UUID
    role: Role


class ApiKeyRevoked(_TenantMessage):
    """An API key was revoked."""

    topic: ClassVar[str] = "api_key.revoked"

    api_key_id: UUID
