"""Facts about tenants, in the order of each tenant."""

from typing import ClassVar
from uuid import UUID

from pydantic import Field

from ticketing.infra.outbox import Message
from ticketing.modules.organizations.models import Role


class _TenantMessage(Message):
    key_field: ClassVar[str] = "organization_id"

    organization_id: UUID


class OrganizationCreated(_TenantMessage):
    """A tenant exists."""

    topic: ClassVar[str] = "organization.created"

    name: str
    slug: str


class OrganizationUpdated(_TenantMessage):
    """A tenant has another name, address or retention."""

    topic: ClassVar[str] = "organization.updated"

    name: str
    slug: str
    buyer_data_days: int | None = Field(
        None, description="so long after an event its buyers' names are kept; null: for ever"
    )


class MemberAdded(_TenantMessage):
    """Somebody belongs to an organization."""

    topic: ClassVar[str] = "member.added"

    user_id: UUID
    role: Role


class MemberRoleChanged(_TenantMessage):
    """A member may do other things from here on."""

    topic: ClassVar[str] = "member.role_changed"

    user_id: UUID
    role: Role


class MemberRemoved(_TenantMessage):
    """Somebody does not belong to an organization any more."""

    topic: ClassVar[str] = "member.removed"

    user_id: UUID


class SupportGranted(Message):
    """This person may read every organization."""

    topic: ClassVar[str] = "support.granted"
    key_field: ClassVar[str] = "user_id"

    user_id: UUID


class SupportRevoked(Message):
    """This person reads where they are a member, and nowhere else."""

    topic: ClassVar[str] = "support.revoked"
    key_field: ClassVar[str] = "user_id"

    user_id: UUID


class ApiKeyCreated(_TenantMessage):
    """A program has a key."""

    topic: ClassVar[str] = "api_key.created"

    api_key_id: UUID
    role: Role


class ApiKeyRevoked(_TenantMessage):
    """This key opens nothing any more."""

    topic: ClassVar[str] = "api_key.revoked"

    api_key_id: UUID
