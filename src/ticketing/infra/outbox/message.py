"""Messages: as modules declare them, and as consumers receive them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class Message(BaseModel):
    """Something that happened; named in the past tense. Fields of a subclass are only added, never changed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    topic: ClassVar[str]
    schema_version: ClassVar[int] = 1
    #: The field with the partition key: messages with the same key stay in order.
    key_field: ClassVar[str]
    #: The field with the id of what the message changes, for the commit notification: caches of it are invalidated.
    subject_field: ClassVar[str | None] = None

    organization_id: UUID | None = Field(
        None, description="the tenant of the message; null for messages about people, which belong to no tenant"
    )

    @property
    def key(self) -> str:
        return str(getattr(self, self.key_field))

    @property
    def subject_id(self) -> UUID | None:
        return None if self.subject_field is None else getattr(self, self.subject_field)


def known_topics(parent: type[Message] = Message) -> Iterator[str]:
    """The topic of every message class that is loaded."""
    for message in parent.__subclasses__():
        if hasattr(message, "topic"):
            yield message.topic
        yield from known_topics(message)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as a consumer receives it, from the log or from Kafka: its payload and its metadata."""

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
    #: The id of its row in the log; 0 when it was received from Kafka.
    log_id: int = 0
