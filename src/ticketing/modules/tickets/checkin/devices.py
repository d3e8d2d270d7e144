"""Devices: scanners with a token that is bound to one event and expires after it. The token is shown once.

A lost phone of a volunteer thereby exposes the check-ins of one event, and no account.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import log, outbox, security
from ticketing.infra.db import new_id
from ticketing.infra.errors import NotFound
from ticketing.infra.http.pagination import PageQuery
from ticketing.modules import events, organizations
from ticketing.modules.tickets.messages import DeviceMade, DeviceRevoked
from ticketing.modules.tickets.models import Device

#: Validity after the end of the event: for late guests, and for offline scans that are synced the next morning.
VALID_AFTER_EVENT = timedelta(days=1)


async def make_device(
    session: AsyncSession, access: organizations.Access, event_id: UUID, name: str, gate: str | None
) -> tuple[Device, str]:
    """Create a device and return it with its token, `td_<secret>`, of which only the hash is stored.

    Raises:
        NotFound: the event is unknown or belongs to another organization.
        organizations.UserRequired: the caller is an API key.
        organizations.QuotaExceeded: the event has as many devices as it may have.
    """
    access.require(organizations.Permission.MAKE_DEVICES)
    await organizations.lock_membership(session, access, organizations.Permission.MAKE_DEVICES)
    event = await events.get_own_event(session, access.organization_id, event_id)
    token = f"td_{security.new_secret()}"
    row = insert(Device).values(
        id=new_id(),
        organization_id=event.organization_id,
        event_id=event.id,
        name=name,
        gate=gate,
        token_hash=security.fingerprint(token),
        created_by=access.user_id,
    )
    device = (await session.scalars(row.returning(Device))).one()
    of_event = (Device.organization_id == event.organization_id) & (Device.event_id == event.id)
    in_use = select(func.count()).where(of_event, Device.revoked_at.is_(None))
    await organizations.check_quota(session, organizations.Quota.DEVICES, event.id, in_use)
    organizations.record(session, access, "device.made", f"device:{device.id}", None, _audit_values(device))
    outbox.publish(session, DeviceMade(**_ids(device)))
    return device, token


async def revoke_device(session: AsyncSession, access: organizations.Access, event_id: UUID, device_id: UUID) -> None:
    """Revoke the token, effective at commit. Raises NotFound, also when the device is revoked already."""
    if not await _revoke(session, access, (Device.event_id == event_id) & (Device.id == device_id)):
        raise NotFound


async def revoke_devices_of_member(
    session: AsyncSession, message: organizations.MemberRemoved | organizations.MemberRoleChanged
) -> None:
    """Revoke the devices that a person made who may not make devices any more. Idempotent."""
    may_make = organizations.Permission.MAKE_DEVICES
    if await organizations.is_allowed(session, message.organization_id, message.user_id, may_make):
        return
    role = organizations.Role.ORG_ADMIN
    access = organizations.Access(message.organization_id, log.actor.get(), None, role)
    await _revoke(session, access, Device.created_by == message.user_id)


async def _revoke(session: AsyncSession, access: organizations.Access, which: ColumnElement[bool]) -> bool:
    is_live = (Device.organization_id == access.organization_id) & Device.revoked_at.is_(None)
    revoke = update(Device).where(is_live, which).values(revoked_at=func.now()).returning(Device)
    devices = (await session.scalars(revoke)).all()
    for device in devices:
        organizations.record(session, access, "device.revoked", f"device:{device.id}", _audit_values(device), None)
        outbox.publish(session, DeviceRevoked(**_ids(device)))
    return bool(devices)


async def list_devices(
    session: AsyncSession, organization_id: UUID, event_id: UUID, page: PageQuery
) -> tuple[Sequence[Device], str | None]:
    """Return one page of an event's devices, oldest first, including revoked ones. Raises NotFound."""
    event = await events.get_own_event(session, organization_id, event_id)
    query = select(Device).where(Device.organization_id == event.organization_id, Device.event_id == event.id)
    if page.after:
        query = query.where(Device.id > page.after_id())
    rows = (await session.scalars(query.order_by(Device.id).limit(page.limit + 1))).all()
    return page.cut(rows, lambda device: [str(device.id)])


async def find_device(session: AsyncSession, token_hash: str) -> Device | None:
    """Return the device with this token hash unless it is revoked. The caller has entered its organization."""
    is_it = (Device.token_hash == token_hash) & Device.revoked_at.is_(None)
    return (await session.scalars(select(Device).where(is_it))).one_or_none()


async def get_expiry(session: AsyncSession, organization_id: UUID, event_id: UUID) -> datetime:
    """Return when the tokens of this event's devices expire. It changes with the times of the event."""
    is_it = (events.Event.organization_id == organization_id) & (events.Event.id == event_id)
    expiry = select(events.ends_at() + VALID_AFTER_EVENT).where(is_it)
    return (await session.execute(expiry)).scalar_one()


async def has_expired(session: AsyncSession, device: Device) -> bool:
    """Return whether the device's token has expired, by Postgres's clock."""
    is_it = (events.Event.organization_id == device.organization_id) & (events.Event.id == device.event_id)
    is_past = select(events.ends_at() + VALID_AFTER_EVENT <= func.now()).where(is_it)
    return bool((await session.execute(is_past)).scalar_one())


def _audit_values(device: Device) -> dict[str, str | None]:
    return {"name": device.name, "gate": device.gate, "event_id": str(device.event_id)}


def _ids(device: Device) -> dict[str, UUID]:
    return {"organization_id": device.organization_id, "event_id": device.event_id, "device_id": device.id}
