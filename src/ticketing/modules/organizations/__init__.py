"""Tenants: who works for them, what each may do there, and the log of what they did."""

from ticketing.modules.organizations import models  # noqa: F401 (registers the tables)
from ticketing.modules.organizations.access import Access, Admin, Scanner, Staff
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
)
from ticketing.modules.organizations.models import Organization, Role
from ticketing.modules.organizations.queries import find_role, get_organization, list_organizations

__all__ = [
    "Access",
    "Admin",
    "ApiKeyCreated",
    "ApiKeyRevoked",
    "MemberAdded",
    "MemberRemoved",
    "MemberRoleChanged",
    "Organization",
    "OrganizationCreated",
    "OrganizationUpdated",
    "Role",
    "Scanner",
    "Staff",
    "find_role",
    "get_organization",
    "list_organizations",
    "record",
    "router",
]
