"""The permission table: which role may do what in an organization. docs/security.md is generated from it."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from ticketing.infra.errors import Forbidden
from ticketing.modules.organizations.models import Role


class UserRequired(Forbidden):
    """Only a user can do this, not an API key or a device."""


class NonMember(StrEnum):
    """Roles of callers that are not members."""

    #: Support agents of the platform: read only.
    SUPPORT = "SUPPORT"
    #: A scanner with a token for one event.
    DEVICE = "DEVICE"


class Permission(StrEnum):
    """A permission required by a route; the value is its description."""

    READ_ORGANIZATION = "read the organization"
    EDIT_ORGANIZATION = "change the organization"
    READ_AUDIT_LOG = "read the audit log"
    READ_MEMBERS = "list members"
    EDIT_MEMBERS = "add, change and remove members"
    READ_KEYS = "list API keys (never their text)"
    MAKE_KEYS = "make API keys"
    REVOKE_KEYS = "revoke API keys"
    READ_VENUES = "read venues"
    EDIT_VENUES = "create and import venues"
    READ_EVENTS = "read events, drafts too"
    EDIT_EVENTS = "create, change, publish and cancel events; price, sync, block and unblock seats"
    READ_RESERVATIONS = "read reservations"
    READ_ORDERS = "read orders and payments"
    EXPORT_ORDERS = "export orders"
    REFUND_ORDERS = "refund orders and void tickets"
    READ_TICKETS = "read tickets, with the codes that admit"
    TRANSFER_TICKETS = "transfer a buyer's ticket"
    READ_DEVICES = "list devices (never their tokens)"
    MAKE_DEVICES = "make devices"
    REVOKE_DEVICES = "revoke devices"
    READ_DOOR = "read the door's figures and its list for scanning offline"
    CHECK_IN = "check tickets in"
    READ_FEED = "read the change feed"
    READ_WEBHOOKS = "read webhooks and their deliveries (never their secrets)"
    EDIT_WEBHOOKS = "make, change, test and delete webhooks"


_ADMIN: frozenset[Role | NonMember] = frozenset({Role.ORG_ADMIN})
_STAFF = _ADMIN | {Role.ORG_STAFF}
_MEMBERS = _STAFF | {Role.ORG_SCANNER}

HOLDERS: dict[Permission, frozenset[Role | NonMember]] = {
    Permission.READ_ORGANIZATION: _MEMBERS | {NonMember.SUPPORT},
    Permission.EDIT_ORGANIZATION: _ADMIN,
    Permission.READ_AUDIT_LOG: _ADMIN | {NonMember.SUPPORT},
    Permission.READ_MEMBERS: _ADMIN | {NonMember.SUPPORT},
    Permission.EDIT_MEMBERS: _ADMIN,
    Permission.READ_KEYS: _ADMIN | {NonMember.SUPPORT},
    Permission.MAKE_KEYS: _ADMIN,
    Permission.REVOKE_KEYS: _ADMIN,
    Permission.READ_VENUES: _MEMBERS | {NonMember.SUPPORT},
    Permission.EDIT_VENUES: _STAFF,
    Permission.READ_EVENTS: _MEMBERS | {NonMember.SUPPORT},
    Permission.EDIT_EVENTS: _STAFF,
    Permission.READ_RESERVATIONS: _MEMBERS,
    Permission.READ_ORDERS: _STAFF | {NonMember.SUPPORT},
    Permission.EXPORT_ORDERS: _STAFF,
    Permission.REFUND_ORDERS: _STAFF,
    Permission.READ_TICKETS: _STAFF,
    Permission.TRANSFER_TICKETS: _STAFF,
    Permission.READ_DEVICES: _STAFF | {NonMember.SUPPORT},
    Permission.MAKE_DEVICES: _STAFF,
    Permission.REVOKE_DEVICES: _STAFF,
    Permission.READ_DOOR: _MEMBERS | {NonMember.SUPPORT, NonMember.DEVICE},
    Permission.CHECK_IN: _MEMBERS | {NonMember.DEVICE},
    Permission.READ_FEED: _ADMIN,
    Permission.READ_WEBHOOKS: _ADMIN,
    Permission.EDIT_WEBHOOKS: _ADMIN,
}
#: Not available to machines in any role: members and credentials, because changes to them would outlast the revocation
#: of a stolen key, and routes whose path names no organization, where a key of one organization has no meaning.
USERS_ONLY = frozenset(
    {
        Permission.EDIT_MEMBERS,
        Permission.MAKE_KEYS,
        Permission.REVOKE_KEYS,
        Permission.MAKE_DEVICES,
        Permission.REVOKE_DEVICES,
        Permission.EDIT_WEBHOOKS,
        Permission.READ_RESERVATIONS,
        Permission.REFUND_ORDERS,
        Permission.READ_TICKETS,
        Permission.TRANSFER_TICKETS,
    }
)

#: Non-members have no rank, so they cannot grant roles.
_RANK: dict[Role | NonMember, int] = {Role.ORG_SCANNER: 1, Role.ORG_STAFF: 2, Role.ORG_ADMIN: 3}


class RoleTooHigh(Forbidden):
    """You cannot grant or remove a role above your own."""


def roles_above(role: Role) -> list[Role]:
    """Return the roles that may do more than this one."""
    return [each for each in Role if _RANK[each] > _RANK[role]]


@dataclass(frozen=True, slots=True)
class Access:
    """An authorized caller in an organization. `user_id` is None for machines: API keys and devices."""

    organization_id: UUID
    actor: str
    user_id: UUID | None
    role: Role | NonMember
    #: The gate of a device; None for other callers.
    gate: str | None = None

    def holds(self, permission: Permission) -> bool:
        """Whether the role has the permission; routes call `require`."""
        return self.role in HOLDERS[permission]

    def require(self, permission: Permission) -> None:
        """Raises Forbidden, UserRequired."""
        if not self.holds(permission):
            raise Forbidden
        if self.user_id is None and permission in USERS_ONLY:
            raise UserRequired

    def can_grant(self, role: Role) -> bool:
        """Whether the caller may grant or remove this role: up to its own."""
        return _RANK[role] <= _RANK.get(self.role, 0)


def refuse_above(access: Access, *roles: Role) -> None:
    """Raises RoleTooHigh."""
    if not all(access.can_grant(role) for role in roles):
        raise RoleTooHigh
