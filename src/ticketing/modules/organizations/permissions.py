"""The one table of permissions: who may do what in an organization. Every route asks it; docs/security.md prints it."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from ticketing.infra.errors import Forbidden
from ticketing.modules.organizations.models import Role


class OnlyPeople(Forbidden):
    """Only a person can do this: a stolen key must not outlive its revocation in its children."""


class Guest(StrEnum):
    """Who comes into an organization without being its member."""

    #: The platform's own people; they read, and change nothing.
    SUPPORT = "SUPPORT"
    #: A scanner with a token, at the door of one event.
    DEVICE = "DEVICE"


class Permission(StrEnum):
    """What a route asks for; the value is how people read it."""

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


_ADMIN: frozenset[Role | Guest] = frozenset({Role.ORG_ADMIN})
_STAFF = _ADMIN | {Role.ORG_STAFF}
_MEMBERS = _STAFF | {Role.ORG_SCANNER}

HOLDERS: dict[Permission, frozenset[Role | Guest]] = {
    Permission.READ_ORGANIZATION: _MEMBERS | {Guest.SUPPORT},
    Permission.EDIT_ORGANIZATION: _ADMIN,
    Permission.READ_AUDIT_LOG: _ADMIN | {Guest.SUPPORT},
    Permission.READ_MEMBERS: _ADMIN | {Guest.SUPPORT},
    Permission.EDIT_MEMBERS: _ADMIN,
    Permission.READ_KEYS: _ADMIN | {Guest.SUPPORT},
    Permission.MAKE_KEYS: _ADMIN,
    Permission.REVOKE_KEYS: _ADMIN,
    Permission.READ_VENUES: _MEMBERS | {Guest.SUPPORT},
    Permission.EDIT_VENUES: _STAFF,
    Permission.READ_EVENTS: _MEMBERS | {Guest.SUPPORT},
    Permission.EDIT_EVENTS: _STAFF,
    Permission.READ_RESERVATIONS: _MEMBERS,
    Permission.READ_ORDERS: _STAFF | {Guest.SUPPORT},
    Permission.EXPORT_ORDERS: _STAFF,
    Permission.REFUND_ORDERS: _STAFF,
    Permission.READ_TICKETS: _STAFF,
    Permission.TRANSFER_TICKETS: _STAFF,
    Permission.READ_DEVICES: _STAFF | {Guest.SUPPORT},
    Permission.MAKE_DEVICES: _STAFF,
    Permission.REVOKE_DEVICES: _STAFF,
    Permission.READ_DOOR: _MEMBERS | {Guest.SUPPORT, Guest.DEVICE},
    Permission.CHECK_IN: _MEMBERS | {Guest.DEVICE},
    Permission.READ_FEED: _ADMIN,
    Permission.READ_WEBHOOKS: _ADMIN,
    Permission.EDIT_WEBHOOKS: _ADMIN,
}
#: What a machine can't do, whatever its role: make what would outlive its revocation; and what is asked only where the
#: path names no organization, so that a key, which is somebody in one organization, is nobody there.
PEOPLE_ONLY = frozenset(
    {
        Permission.MAKE_KEYS,
        Permission.MAKE_DEVICES,
        Permission.EDIT_WEBHOOKS,
        Permission.READ_RESERVATIONS,
        Permission.REFUND_ORDERS,
        Permission.READ_TICKETS,
        Permission.TRANSFER_TICKETS,
    }
)

#: Guests have none: they give no roles.
_RANK: dict[Role | Guest, int] = {Role.ORG_SCANNER: 1, Role.ORG_STAFF: 2, Role.ORG_ADMIN: 3}


@dataclass(frozen=True, slots=True)
class Access:
    """Somebody at work in an organization. `user_id` is None when it is a machine, with a key or at the door."""

    organization_id: UUID
    actor: str
    user_id: UUID | None
    role: Role | Guest
    #: Where a device stands; None for everybody else.
    gate: str | None = None

    def holds(self, permission: Permission) -> bool:
        """What the table says of the role; `require` is what a route asks."""
        return self.role in HOLDERS[permission]

    def require(self, permission: Permission) -> None:
        """Raises Forbidden, OnlyPeople."""
        if not self.holds(permission):
            raise Forbidden
        if self.user_id is None and permission in PEOPLE_ONLY:
            raise OnlyPeople

    def can_grant(self, role: Role) -> bool:
        """Whether this role is theirs to give and to take: up to their own, and for a key below its own.

        So nobody grants above themselves, and a stolen key neither makes an admin nor puts one out.
        """
        own = _RANK.get(self.role, 0)
        return _RANK[role] < own or (_RANK[role] == own and self.user_id is not None)
