"""Access to check-ins: members and API keys of the organization, and devices of the event."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader

from ticketing.infra import log, security
from ticketing.infra.db import Db, tenancy
from ticketing.infra.errors import NotFound, Unauthenticated
from ticketing.modules import iam, organizations
from ticketing.modules.tickets.checkin import devices
from ticketing.modules.tickets.models import Device

# Only documents the scheme in the OpenAPI document, like the scheme of API keys.
_token = APIKeyHeader(
    name="Authorization", auto_error=False, scheme_name="Device", description="`Device td_…`, for scanners at one door"
)


class DoorPermission:
    """Like `organizations.May`, and also accepts a device of the event in the path."""

    def __init__(self, permission: organizations.Permission) -> None:
        self.permission = permission
        self._members = organizations.May(permission)

    async def __call__(
        self,
        request: Request,
        org_id: UUID,
        event_id: UUID,
        session: Db,
        user: iam.OptionalUser,
        key: organizations.ApiKeyScheme,
        _: Annotated[object, Security(_token)],
    ) -> organizations.Access:
        scheme, credentials = security.authorization(request)
        if scheme != "device":
            return await self._members(request, org_id, session, user, key)
        digest = security.fingerprint(credentials)
        await tenancy.enter_by(session, "organization_of_device", digest)
        device = await devices.find_device(session, digest)
        if device is None:
            raise Unauthenticated("This device is unknown or revoked.")
        if (device.organization_id, device.event_id) != (org_id, event_id):
            raise NotFound
        access = await _enter(session, device)
        access.require(self.permission)
        return access


async def _enter(session: Db, device: Device) -> organizations.Access:
    if await devices.has_expired(session, device):
        raise Unauthenticated("The event of this device is over.")
    await organizations.record_use(session, Device, device.id)
    actor = f"device:{device.id}"
    log.actor.set(actor)
    role = organizations.NonMember.DEVICE
    return organizations.Access(device.organization_id, actor, None, role, device.gate)


def _may(permission: organizations.Permission) -> Any:
    return Depends(DoorPermission(permission))


DoorReader = Annotated[organizations.Access, _may(organizations.Permission.READ_DOOR)]
DoorScanner = Annotated[organizations.Access, _may(organizations.Permission.CHECK_IN)]
