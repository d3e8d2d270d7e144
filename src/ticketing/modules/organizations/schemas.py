"""Bodies about tenants, their members and their keys."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from ticketing.infra.http.fields import Body, Email, Moment, Name, Out, Slug, Timestamp
from ticketing.modules import iam
from ticketing.modules.organizations.models import Member, Organization, Role


class CreateOrganization(Body):
    name: Name
    slug: Slug


class UpdateOrganization(Body):
    """What is left out stays as it is."""

    name: Name = Field(default="")
    slug: Slug = Field(default="")
    #: Days after an event's end until its buyers' names and addresses are forgotten; null keeps them.
    buyer_data_days: Annotated[int, Field(strict=True, ge=30, le=3650)] | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("must have a name, a slug or buyer_data_days")
        return self


class AddMember(Body):
    email: Email
    role: Role


class ChangeRole(Body):
    role: Role


class CreateApiKey(Body):
    """`expires_at`: from then on the key opens nothing; without it, it is good until it is revoked."""

    name: Name
    role: Role
    expires_at: Timestamp | None = None


class OrganizationOut(Out):
    id: UUID
    name: str
    slug: str
    #: Days after an event's end until its buyers' names and addresses are forgotten; null keeps them.
    buyer_data_days: int | None
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
    #: Whether a link that was mailed to the address has come back.
    email_verified: bool
    #: Whether log-in asks for a code besides the password.
    has_second_factor: bool
    display_name: str | None
    memberships: list[MembershipOut]
    #: SUPPORT for somebody of the platform who reads every organization.
    platform_role: Literal["SUPPORT"] | None


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
    expires_at: Moment | None
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
    #: From where: the client's address, and what it calls itself; null when no request did this.
    address: str | None
    user_agent: str | None
    created_at: Moment
