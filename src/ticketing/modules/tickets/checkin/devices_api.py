"""Routes of an event's devices, for members of its organization."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from ticketing.infra.db import Db
from ticketing.infra.http import idempotency
from ticketing.infra.http.envelope import Envelope, envelope
from ticketing.infra.http.pagination import Page
from ticketing.modules import organizations
from ticketing.modules.tickets.checkin import devices
from ticketing.modules.tickets.checkin.schemas import DeviceOut, MakeDevice, NewDeviceOut

PATH = "/orgs/{org_id}/events/{event_id}/devices"

Reader = Annotated[organizations.Access, organizations.may(organizations.Permission.READ_DEVICES)]
Maker = Annotated[organizations.Access, organizations.may(organizations.Permission.MAKE_DEVICES)]
Revoker = Annotated[organizations.Access, organizations.may(organizations.Permission.REVOKE_DEVICES)]

router = APIRouter(prefix=PATH, tags=["devices"], route_class=idempotency.Route)


@router.post("", status_code=201)
async def make_device(
    event_id: UUID,
    body: MakeDevice,
    access: Maker,
    session: Db,
) -> Envelope[NewDeviceOut]:
    """Create a device for check-ins at this event. Only this response contains its token."""
    device, token = await devices.make_device(session, access, event_id, body.name, body.gate)
    expires_at = await devices.get_expiry(session, device.organization_id, event_id)
    made = DeviceOut.of(device, expires_at).model_dump()
    return envelope(NewDeviceOut(**made, token=token), "Keep this token: it is not shown again.")


@router.get("")
async def list_devices(
    event_id: UUID,
    access: Reader,
    page: Page,
    session: Db,
) -> Envelope[list[DeviceOut]]:
    """List the event's devices, including revoked ones, without their tokens."""
    rows, cursor = await devices.list_devices(session, access.organization_id, event_id, page)
    expires_at = await devices.get_expiry(session, access.organization_id, event_id)
    return envelope([DeviceOut.of(device, expires_at) for device in rows], next_cursor=cursor)


@router.delete("/{device_id}")
async def revoke_device(
    event_id: UUID,
    device_id: UUID,
    access: Revoker,
    session: Db,
) -> Envelope[None]:
    """Revoke a device, immediately and permanently."""
    await devices.revoke_device(session, access, event_id, device_id)
    return envelope(None, "Revoked.")
