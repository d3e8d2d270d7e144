"""Facts about tenants, in the order of each tenant."""

from typing import ClassVar
from uuid import UUID

from ticketing.infra.outbox import Message
from ticketing.modules.organizations.models import Role


class _TenantMessage(Message):
    key_field: ClassVar[str] = "organization_id"

    organization_id: UUID


class OrganizationCreated(_TenantMessage):
    topic: ClassVar[str] = "organization.created"

    name: str
    slug: str


class OrganizationUpdated(_TenantMessage):
    topic: ClassVar[str] = "organization.updated"

    name: str
    slug: str
    buyer_data_days: int | None = None


class MemberAdded(_TenantMessage):
    topic: ClassVar[str] = "member.added"

    user_id: UUID
    role: Role


class MemberRoleChanged(_TenantMessage):
    topic: ClassVar[str] = "member.role_changed"

    user_id: UUID
    role: Role


class MemberRemoved(_TenantMessage):
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
    topic: ClassVar[str] = "api_key.created"

    api_key_id: UUID
    role: Role


class ApiKeyRevoked(_TenantMessage):
    topic: ClassVar[str] = "api_key.revoked"

    api_key_id: UUID
