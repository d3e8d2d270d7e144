"""Messages, as modules declare them and as they arrive."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class Message(BaseModel):
    """A fact on the bus, in the past tense. Subclasses are its published language: fields are added, never changed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    topic: ClassVar[str]
    schema_version: ClassVar[int] = 1
    #: The field whose value keeps the order: all facts of one aggregate travel in one partition.
    key_field: ClassVar[str]
    #: The field with the id of what the message changes, for the commit notification: caches of it are invalidated.
    subject_field: ClassVar[str | None] = None

    organization_id: UUID | None = Field(
        None, description="whose fact it is; null for facts about people, which belong to no tenant"
    )

    @property
    def key(self) -> str:
        return str(getattr(self, self.key_field))

    @property
    def subject_id(self) -> UUID | None:
        return None if self.subject_field is None else getattr(self, self.subject_field)


def known_topics(parent: type[Message] = Message) -> Iterator[str]:
    """The topic of every message that some module publishes."""
    for message in parent.__subclasses__():
        if hasattr(message, "topic"):
            yield message.topic
        yield from known_topics(message)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as it arrives, by whatever road: its payload and what the header says."""

    message_id: UUID
    topic: str
    key: str
    schema_version: int
    occurred_at: datetime
    organization_id: UUID | None
    payload: dict[str, Any]
    correlation_id: str
    traceparent: str
    actor: str
    #: Where it stands in the log; 0 when it came over Kafka.
    log_id: int = 0
