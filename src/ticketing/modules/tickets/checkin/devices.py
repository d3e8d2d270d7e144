"""Scanners with a token of their own: each is bound to one event, shown its token once, and ends by itself.

A phone that is handed to a volunteer gets lost; its token opens one door for one evening, and no account.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox, security
from ticketing.infra.db import new_id
from ticketing.infra.errors import NotFound
from ticketing.infra.http.pagination import PageQuery
from ticketing.modules import events, organizations
from ticketing.modules.tickets.messages import DeviceMade, DeviceRevoked
from ticketing.modules.tickets.models import Device

#: Late guests, and scans that were made without a network and are sent in the morning.
LIVES_AFTER_EVENT = timedelta(days=1)


async def make_device(
    session: AsyncSession, access: organizations.Access, event_id: UUID, name: str, gate: str | None
) -> tuple[Device, str]:
    """A new device and its token, `td_<secret>`, which can't be had again.

    Raises:
        NotFound: the event is unknown, or another organization's.
        organizations.OnlyPeople: a key makes no devices.
    """
    access.require(organizations.Permission.MAKE_DEVICES)
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
    organizations.record(session, access, "device.made", f"device:{device.id}", None, _facts(device))
    outbox.publish(session, DeviceMade(**_about(device)))
    return device, token


async def revoke_device(session: AsyncSession, access: organizations.Access, event_id: UUID, device_id: UUID) -> None:
    """From the commit on, the token opens nothing. Raises NotFound, also for a device that is revoked already."""
    its = (Device.organization_id == access.organization_id) & (Device.event_id == event_id) & (Device.id == device_id)
    revoke = update(Device).where(its, Device.revoked_at.is_(None)).values(revoked_at=func.now()).returning(Device)
    device = (await session.scalars(revoke)).one_or_none()
    if device is None:
        raise NotFound
    organizations.record(session, access, "device.revoked", f"device:{device.id}", _facts(device), None)
    outbox.publish(session, DeviceRevoked(**_about(device)))


async def list_devices(
    session: AsyncSession, organization_id: UUID, event_id: UUID, page: PageQuery
) -> tuple[Sequence[Device], str | None]:
    """An event's devices, oldest first, revoked ones too. Raises NotFound."""
    event = await events.get_own_event(session, organization_id, event_id)
    query = select(Device).where(Device.organization_id == event.organization_id, Device.event_id == event.id)
    if page.after:
        query = query.where(Device.id > page.after_id())
    rows = (await session.scalars(query.order_by(Device.id).limit(page.limit + 1))).all()
    return page.cut(rows, lambda device: [str(device.id)])


async def find_device(session: AsyncSession, token_hash: str) -> Device | None:
    """The device that has this hash and is not revoked, in the organization that was entered by the same hash."""
    is_it = (Device.token_hash == token_hash) & Device.revoked_at.is_(None)
    return (await session.scalars(select(Device).where(is_it))).one_or_none()


async def get_end(session: AsyncSession, organization_id: UUID, event_id: UUID) -> datetime:
    """When the tokens of this event's devices run out; it moves with the event."""
    its = (events.Event.organization_id == organization_id) & (events.Event.id == event_id)
    end = select(events.ends_at() + LIVES_AFTER_EVENT).where(its)
    return (await session.execute(end)).scalar_one()


async def has_run_out(session: AsyncSession, device: Device) -> bool:
    """By Postgres' clock."""
    its = (events.Event.organization_id == device.organization_id) & (events.Event.id == device.event_id)
    is_late = select(events.ends_at() + LIVES_AFTER_EVENT <= func.now()).where(its)
    return bool((await session.execute(is_late)).scalar_one())


def _facts(device: Device) -> dict[str, str | None]:
    return {"name": device.name, "gate": device.gate, "event_id": str(device.event_id)}


def _about(device: Device) -> dict[str, UUID]:
    return {"organization_id": device.organization_id, "event_id": device.event_id, "device_id": device.id}
