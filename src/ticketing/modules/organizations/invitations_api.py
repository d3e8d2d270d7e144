"""Routes of invitations: of an organization, of an emailed link, and of the caller's own address."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from ticketing.infra.db import Db
from ticketing.infra.http import idempotency
from ticketing.infra.http.envelope import Envelope, envelope
from ticketing.infra.http.pagination import Page
from ticketing.modules import iam
from ticketing.modules.organizations import invitations
from ticketing.modules.organizations.access import may
from ticketing.modules.organizations.permissions import Access, Permission
from ticketing.modules.organizations.schemas import AddMember, InvitationOut, MembershipOut, MyInvitationOut

MemberEditor = Annotated[Access, may(Permission.EDIT_MEMBERS)]
MemberReader = Annotated[Access, may(Permission.READ_MEMBERS)]

router = APIRouter(tags=["organizations"], route_class=idempotency.Route)


@router.post("/orgs/{org_id}/invitations", status_code=201)
async def invite(body: AddMember, access: MemberEditor, session: Db) -> Envelope[InvitationOut]:
    """Invite an address, whether or not it has an account. The membership begins when it is accepted."""
    return envelope(InvitationOut.of(await invitations.invite(session, access, body.email, body.role)), "Invited.")


@router.get("/orgs/{org_id}/invitations")
async def list_invitations(page: Page, access: MemberReader, session: Db) -> Envelope[list[InvitationOut]]:
    """List the invitations that wait for an answer."""
    rows = await invitations.list_invitations(session, access.organization_id, page)
    kept, cursor = page.cut(rows, lambda invitation: [str(invitation.id)])
    return envelope([InvitationOut.of(row) for row in kept], next_cursor=cursor)


@router.delete("/orgs/{org_id}/invitations/{invitation_id}")
async def withdraw_invitation(invitation_id: UUID, access: MemberEditor, session: Db) -> Envelope[None]:
    """Withdraw an invitation."""
    await invitations.withdraw(session, access, invitation_id)
    return envelope(None, "Withdrawn.")


@router.get("/invitations/{token}")
async def get_invitation(token: str, session: Db) -> Envelope[MyInvitationOut]:
    """Get the invitation of an emailed link."""
    return envelope(MyInvitationOut.of(*await invitations.read_link(session, token)))


@router.post("/invitations/{token}/accept")
async def accept_invitation(token: str, person: iam.CurrentUser, session: Db) -> Envelope[MembershipOut]:
    """Accept the invitation of an emailed link, as the account with its address."""
    return envelope(MembershipOut.of(*await invitations.accept_link(session, person, token)), "Welcome.")


@router.get("/me/invitations")
async def list_my_invitations(person: iam.CurrentUser, session: Db) -> Envelope[list[MyInvitationOut]]:
    """List the invitations of the caller's address, once it is verified."""
    return envelope([MyInvitationOut.of(*row) for row in await invitations.list_mine(session, person.user_id)])


@router.post("/me/invitations/{invitation_id}/accept")
async def accept_my_invitation(invitation_id: UUID, person: iam.CurrentUser, session: Db) -> Envelope[MembershipOut]:
    """Accept an invitation of the caller's verified address."""
    return envelope(MembershipOut.of(*await invitations.accept_mine(session, person, invitation_id)), "Welcome.")


@router.delete("/me/invitations/{invitation_id}")
async def decline_my_invitation(invitation_id: UUID, person: iam.CurrentUser, session: Db) -> Envelope[None]:
    """Decline an invitation of the caller's verified address."""
    await invitations.decline(session, person, invitation_id)
    return envelope(None, "Declined.")
