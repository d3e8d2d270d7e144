"""Tenants: members, roles and permissions, API keys, and the audit log."""

from ticketing.modules.organizations import models, personal_data
from ticketing.modules.organizations.access import ApiKeyScheme, May, check_access, may, record_use
from ticketing.modules.organizations.api import router
from ticketing.modules.organizations.audit import clean_audit_log, record, record_by
from ticketing.modules.organizations.invitations import PURPOSE as INVITATION_PURPOSE
from ticketing.modules.organizations.invitations import clean_invitations, find_address
from ticketing.modules.organizations.messages import (
    ApiKeyCreated,
    ApiKeyRevoked,
    InvitationEnded,
    MemberAdded,
    MemberInvited,
    MemberRemoved,
    MemberRoleChanged,
    OrganizationCreated,
    OrganizationUpdated,
    SupportGranted,
    SupportRevoked,
)
from ticketing.modules.organizations.models import Organization, ProviderRefundTickets, Role
from ticketing.modules.organizations.permissions import Access, NonMember, Permission
from ticketing.modules.organizations.queries import (
    find_access,
    find_role,
    get_organization,
    is_allowed,
    list_admins,
    list_organizations,
    lock_membership,
    role_allows,
)
from ticketing.modules.organizations.quotas import Quota, QuotaExceeded, check_quota, foresee_quota
from ticketing.modules.organizations.support import grant_support, revoke_support

__all__ = [
    "INVITATION_PURPOSE",
    "Access",
    "ApiKeyCreated",
    "ApiKeyRevoked",
    "ApiKeyScheme",
    "InvitationEnded",
    "May",
    "MemberAdded",
    "MemberInvited",
    "MemberRemoved",
    "MemberRoleChanged",
    "NonMember",
    "Organization",
    "OrganizationCreated",
    "OrganizationUpdated",
    "Permission",
    "ProviderRefundTickets",
    "Quota",
    "QuotaExceeded",
    "Role",
    "SupportGranted",
    "SupportRevoked",
    "check_access",
    "check_quota",
    "clean_audit_log",
    "clean_invitations",
    "find_access",
    "find_address",
    "find_role",
    "foresee_quota",
    "get_organization",
    "grant_support",
    "is_allowed",
    "list_admins",
    "list_organizations",
    "lock_membership",
    "may",
    "personal_data",
    "record",
    "record_by",
    "record_use",
    "revoke_support",
    "role_allows",
    "router",
]
