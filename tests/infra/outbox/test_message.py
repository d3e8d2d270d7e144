"""What every message declares: the subject of its commit notification."""

from typing import ClassVar
from uuid import UUID, uuid4

from ticketing.docgen.message_shapes import kinds
from ticketing.infra import outbox
from ticketing.infra.db import Database
from ticketing.infra.outbox import Message


class DoorOpened(Message):
    topic: ClassVar[str] = "door.opened"
    key_field: ClassVar[str] = "house_id"
    subject_field: ClassVar[str | None] = "door_id"

    house_id: UUID
    door_id: UUID


class HouseSold(Message):
    topic: ClassVar[str] = "house.sold"
    key_field: ClassVar[str] = "house_id"

    house_id: UUID


def test_every_message_about_an_event_has_it_as_its_subject() -> None:
    about_events = [kind for kind in kinds() if "event_id" in kind.model_fields]
    assert about_events != []
    assert [kind.topic for kind in about_events if kind.subject_field != "event_id"] == []


async def test_a_commit_notification_carries_the_subjects_of_the_messages(database: Database) -> None:
    changed: list[set[UUID]] = []
    database.on_changed.append(lambda subject_ids, _: changed.append(set(subject_ids)))
    doors = [uuid4(), uuid4()]
    async with database.transaction() as session:
        outbox.publish(session, *(DoorOpened(house_id=uuid4(), door_id=door) for door in doors))
        outbox.publish(session, HouseSold(house_id=uuid4()))
        assert changed == []
    assert changed == [set(doors)]
