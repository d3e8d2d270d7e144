"""Messages that a test publishes for a tenant."""

from typing import ClassVar
from uuid import UUID

from tests.support.world import Tenant
from ticketing.infra import outbox
from ticketing.infra.db import Database
from ticketing.infra.outbox import Message


class WallPainted(Message):
    topic: ClassVar[str] = "wall.painted"
    key_field: ClassVar[str] = "colour"

    colour: str


def painted(tenant: Tenant | None, colour: str) -> WallPainted:
    return WallPainted(organization_id=UUID(tenant.id) if tenant else None, colour=colour)


async def publish(database: Database, *messages: Message) -> None:
    """Publish the messages in one transaction."""
    async with database.transaction() as session:
        for message in messages:
            outbox.publish(session, message)
