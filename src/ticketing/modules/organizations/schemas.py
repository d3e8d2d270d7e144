"""Request and response bodies of organizations, members and API keys."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from ticketing.infra.http.fields import Body, Email, Moment, Name, Out, Slug, Timestamp
from ticketing.modules import iam
from ticketing.modules.organizations.models import Invitation, Member, Organization, ProviderRefundTickets, Role


class CreateOrganization(Body):
    """Without a slug, one is derived from the name."""

    name: Name
    slug: Slug = Field(default="")


class UpdateOrganization(Body):
    """Omitted fields are not changed."""

    name: Name = Field(default="")
    slug: Slug = Field(default="")
    #: Days after an event's end until its buyers' names and addresses are erased; null keeps them.
    buyer_data_days: Annotated[int, Field(strict=True, ge=30, le=3650)] | None = None
    #: What happens to the tickets of an order whose money has all gone back at the payment provider.
    provider_refund_tickets: ProviderRefundTickets = ProviderRefundTickets.KEEP

    @model_validator(mode="after")
    def _require_a_change(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("must have a name, a slug, buyer_data_days or provider_refund_tickets")
        return self


class AddMember(Body):
    email: Email
    role: Role


class ChangeRole(Body):
    role: Role


class CreateApiKey(Body):
    """Without `expires_at`, the key is valid until it is revoked."""

    name: Name
    role: Role
    expires_at: Timestamp | None = None


class OrganizationOut(Out):
    id: UUID
    name: str
    slug: str
    #: Days after an event's end until its buyers' names and addresses are erased; null keeps them.
    buyer_data_days: int | None
    #: What happens to the tickets of an order whose money has all gone back at the payment provider.
    provider_refund_tickets: ProviderRefundTickets
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
    """An organization with the caller's role in it."""

    role: Role

    @classmethod
    def of(cls, member: Member, organization: Organization) -> Self:
        return cls(**OrganizationOut.model_validate(organization).model_dump(), role=member.role)


class MeOut(Out):
    id: UUID
    email: str
    #: Whether a link that was mailed to the address was used.
    email_verified: bool
    #: Whether login requires a code in addition to the password.
    has_second_factor: bool
    display_name: str | None
    memberships: list[MembershipOut]
    #: SUPPORT for users who may read every organization.
    platform_role: Literal["SUPPORT"] | None


class MemberOut(Out):
    user_id: UUID
    email: str
    display_name: str | None
    role: Role
    #: `invited` is the status of invitations, which are listed under `/invitations`.
    status: Literal["member"] = "member"
    created_at: Moment

    @classmethod
    def of(cls, member: Member, user: iam.User) -> Self:
        person = {"user_id": user.id, "email": user.email, "display_name": user.display_name}
        return cls(**person, role=member.role, created_at=member.created_at)


class InvitationOut(Out):
    """An invitation, as its organization sees it. It says nothing about the person behind the address."""

    id: UUID
    email: str
    role: Role
    status: Literal["invited"] = "invited"
    created_at: Moment
    expires_at: Moment

    @classmethod
    def of(cls, row: Invitation) -> Self:
        return cls(id=row.id, email=row.email, role=row.role, created_at=row.created_at, expires_at=row.expires_at)


class MyInvitationOut(Out):
    """An invitation, as the invited person sees it."""

    id: UUID
    organization: OrganizationBrief
    role: Role
    expires_at: Moment

    @classmethod
    def of(cls, invitation: Invitation, organization: Organization) -> Self:
        brief = OrganizationBrief.model_validate(organization)
        return cls(id=invitation.id, organization=brief, role=invitation.role, expires_at=invitation.expires_at)


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
    """The only response that contains the key itself."""

    key: str


class AuditEntryOut(Out):
    id: UUID
    actor: str
    action: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    correlation_id: str
    #: Address and user agent of the client; null for changes without a request.
    address: str | None
    user_agent: str | None
    created_at: Moment
