"""Bodies about tenants, their members and their keys."""

from typing import Any, Self
from uuid import UUID

from pydantic import Field, model_validator

from ticketing.infra.fields import Body, Email, Moment, Name, Out, Slug
from ticketing.modules import iam
from ticketing.modules.organizations.models import Member, Organization, Role


class CreateOrganization(Body):
    name: Name
    slug: Slug


class UpdateOrganization(Body):
    """What is left out stays as it is."""

    name: Name = Field(default="")
    slug: Slug = Field(default="")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("must have a name or a slug")
        return self


class AddMember(Body):
    email: Email
    role: Role


class ChangeRole(Body):
    role: Role


class CreateApiKey(Body):
    name: Name
    role: Role


class OrganizationOut(Out):
    id: UUID
    name: str
    slug: str
    created_at: Moment


class OrganizationBrief(Out):
    id: UUID
    name: str
    slug: str


class MembershipOut(Out):
    organization_id: UUID
    organization: OrganizationBrief
    role: Role

    @classmethod
    def of(cls, member: Member, organization: Organization) -> Self:
        brief = OrganizationBrief.model_validate(organization)
        return cls(organization_id=organization.id, organization=brief, role=member.role)


class MyOrganizationOut(OrganizationOut):
    """An organization, and what the caller is in it."""

    role: Role

    @classmethod
    def of(cls, member: Member, organization: Organization) -> Self:
        return cls(**OrganizationOut.model_validate(organization).model_dump(), role=member.role)


class MeOut(Out):
    id: UUID
    email: str
    display_name: str | None
    memberships: list[MembershipOut]


class MemberOut(Out):
    user_id: UUID
    email: str
    display_name: str | None
    role: Role
    created_at: Moment

    @classmethod
    def of(cls, member: Member, user: iam.User) -> Self:
        person = {"user_id": user.id, "email": user.email, "display_name": user.display_name}
        return cls(**person, role=member.role, created_at=member.created_at)


class ApiKeyOut(Out):
    id: UUID
    name: str
    prefix: str
    role: Role
    created_by: UUID
    created_at: Moment
    last_used_at: Moment | None
    revoked_at: Moment | None


class NewApiKeyOut(ApiKeyOut):
    """The only answer that holds the key itself."""

    key: str


class AuditEntryOut(Out):
    id: UUID
    actor: str
    action: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    correlation_id: str
    created_at: Moment
