"""Routes of organizations, their members, API keys and audit logs."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from ticketing.infra.db import Db, ReadDb
from ticketing.infra.http import idempotency
from ticketing.infra.http.envelope import Envelope, envelope
from ticketing.infra.http.pagination import Page
from ticketing.modules import iam
from ticketing.modules.organizations import api_keys, invitations, invitations_api, members, queries, service
from ticketing.modules.organizations.access import MayOrSelf, may
from ticketing.modules.organizations.permissions import Access, Permission
from ticketing.modules.organizations.schemas import (
    AddMember,
    ApiKeyOut,
    AuditEntryOut,
    ChangeRole,
    CreateApiKey,
    CreateOrganization,
    InvitationOut,
    MemberOut,
    MeOut,
    MyOrganizationOut,
    NewApiKeyOut,
    OrganizationOut,
    UpdateOrganization,
)

Reader = Annotated[Access, may(Permission.READ_ORGANIZATION)]
Editor = Annotated[Access, may(Permission.EDIT_ORGANIZATION)]
Auditor = Annotated[Access, may(Permission.READ_AUDIT_LOG)]
MemberEditor = Annotated[Access, may(Permission.EDIT_MEMBERS)]
MemberRemover = Annotated[Access, Depends(MayOrSelf(Permission.EDIT_MEMBERS))]
MemberReader = Annotated[Access, may(Permission.READ_MEMBERS)]
KeyMaker = Annotated[Access, may(Permission.MAKE_KEYS)]
KeyReader = Annotated[Access, may(Permission.READ_KEYS)]
KeyRevoker = Annotated[Access, may(Permission.REVOKE_KEYS)]

router = APIRouter(tags=["organizations"], route_class=idempotency.Route)


@router.get("/me", tags=["iam"])
async def get_me(identity: iam.CurrentUser, reads: ReadDb) -> Envelope[MeOut]:
    """The caller's account and memberships."""
    return envelope(await queries.describe_me(reads, identity.user_id))


@router.post("/orgs", status_code=201)
async def create_organization(
    body: CreateOrganization, user: iam.CurrentUser, session: Db
) -> Envelope[OrganizationOut]:
    """Create an organization; the caller becomes its first admin."""
    return envelope(await service.create_organization(session, user, body.name, body.slug))


@router.get("/orgs")
async def list_my_organizations(page: Page, user: iam.CurrentUser, session: Db) -> Envelope[list[MyOrganizationOut]]:
    """List the caller's organizations."""
    rows = await queries.list_memberships(session, user.user_id, page)
    kept, cursor = page.cut(rows, lambda row: [str(row[1].id)])
    return envelope([MyOrganizationOut.of(*row) for row in kept], next_cursor=cursor)


@router.get("/orgs/{org_id}")
async def get_organization(access: Reader, session: Db) -> Envelope[OrganizationOut]:
    """Get an organization; open to every member."""
    organization = await queries.get_organization(session, access.organization_id)
    return envelope(OrganizationOut.model_validate(organization))


@router.patch("/orgs/{org_id}")
async def update_organization(body: UpdateOrganization, access: Editor, session: Db) -> Envelope[OrganizationOut]:
    """Change the name, the slug, the retention of buyers' data or what a refund at the provider does to tickets."""
    organization = await service.update_organization(session, access, body.model_dump(exclude_unset=True))
    return envelope(OrganizationOut.model_validate(organization))


@router.get("/orgs/{org_id}/audit-log")
async def list_audit_log(page: Page, access: Auditor, session: Db) -> Envelope[list[AuditEntryOut]]:
    """List the audit log, newest entry first."""
    rows = await queries.list_audit(session, access.organization_id, page)
    kept, cursor = page.cut(rows, lambda entry: [str(entry.id)])
    return envelope([AuditEntryOut.model_validate(entry) for entry in kept], next_cursor=cursor)


@router.post("/orgs/{org_id}/members", status_code=201)
async def add_member(body: AddMember, access: MemberEditor, session: Db) -> Envelope[InvitationOut]:
    """Invite an address, like `POST /orgs/{org_id}/invitations`."""
    return envelope(InvitationOut.of(await invitations.invite(session, access, body.email, body.role)), "Invited.")


@router.get("/orgs/{org_id}/members")
async def list_members(page: Page, access: MemberReader, session: Db) -> Envelope[list[MemberOut]]:
    """List the members."""
    rows = await queries.list_members(session, access.organization_id, page)
    kept, cursor = page.cut(rows, lambda member: [str(member.user_id)])
    users = await iam.list_users(session, [member.user_id for member in kept])
    return envelope([MemberOut.of(member, users[member.user_id]) for member in kept], next_cursor=cursor)


@router.patch("/orgs/{org_id}/members/{user_id}")
async def change_role(user_id: UUID, body: ChangeRole, access: MemberEditor, session: Db) -> Envelope[MemberOut]:
    """Change the role of a member."""
    member = await members.change_role(session, access, user_id, body.role)
    return envelope(MemberOut.of(member, await iam.get_user(session, user_id)))


@router.delete("/orgs/{org_id}/members/{user_id}")
async def remove_member(user_id: UUID, access: MemberRemover, session: Db) -> Envelope[None]:
    """End a membership. Every member may end their own."""
    await members.remove_member(session, access, user_id)
    return envelope(None, "Removed.")


@router.post("/orgs/{org_id}/api-keys", status_code=201)
async def create_api_key(body: CreateApiKey, access: KeyMaker, session: Db) -> Envelope[NewApiKeyOut]:
    """Create an API key. Only this response contains the key."""
    key, text = await api_keys.create_key(session, access, body.name, body.role, body.expires_at)
    return envelope(
        NewApiKeyOut(**ApiKeyOut.model_validate(key).model_dump(), key=text), "Keep this key: it is not shown again."
    )


@router.get("/orgs/{org_id}/api-keys")
async def list_api_keys(page: Page, access: KeyReader, session: Db) -> Envelope[list[ApiKeyOut]]:
    """List all API keys, including revoked ones, without their secrets."""
    rows = await queries.list_keys(session, access.organization_id, page)
    kept, cursor = page.cut(rows, lambda key: [str(key.id)])
    return envelope([ApiKeyOut.model_validate(key) for key in kept], next_cursor=cursor)


@router.delete("/orgs/{org_id}/api-keys/{key_id}")
async def revoke_api_key(key_id: UUID, access: KeyRevoker, session: Db) -> Envelope[None]:
    """Revoke an API key permanently, with immediate effect."""
    await api_keys.revoke_key(session, access, key_id)
    return envelope(None, "Revoked.")


router.include_router(invitations_api.router)
