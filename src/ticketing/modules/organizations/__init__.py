"""Tenants: who works for them, what each may do there, and the log of what they did."""

from ticketing.modules.organizations import models, personal_data
from ticketing.modules.organizations.access import ApiKeyScheme, May, may, note_use
from ticketing.modules.organizations.api import router
from ticketing.modules.organizations.audit import record
from ticketing.modules.organizations.messages import (
    ApiKeyCreated,
    ApiKeyRevoked,
    MemberAdded,
    MemberRemoved,
    MemberRoleChanged,
    OrganizationCreated,
    OrganizationUpdated,
    SupportGranted,
    SupportRevoked,
)
from ticketing.modules.organizations.models import Organization, Role
from ticketing.modules.organizations.permissions import Access, Guest, Permission
from ticketing.modules.organizations.queries import (
    find_access,
    find_role,
    get_organization,
    is_allowed,
    list_organizations,
)
from ticketing.modules.organizations.support import grant_support, revoke_support

__all__ = [
    "Access",
    "ApiKeyCreated",
    "ApiKeyRevoked",
    "ApiKeyScheme",
    "Guest",
    "May",
    "MemberAdded",
    "MemberRemoved",
    "MemberRoleChanged",
    "Organization",
    "OrganizationCreated",
    "OrganizationUpdated",
    "Permission",
    "Role",
    "SupportGranted",
    "SupportRevoked",
    "find_access",
    "find_role",
    "get_organization",
    "grant_support",
    "is_allowed",
    "list_organizations",
    "may",
    "note_use",
    "personal_data",
    "record",
    "revoke_support",
    "router",
]
