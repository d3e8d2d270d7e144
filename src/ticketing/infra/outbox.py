"""The outbox is a log: facts are appended in the transaction that made them true, and readers move a cursor along it.

Rows are never updated. A reader takes windows of *finished* transactions: all rows whose transaction is older than the
oldest one still running. Inside a window the order is that of `id`. A plain `id > last` would lose rows that commit
late, and ordering by transaction would let two transactions on one reservation swap their facts: the second may have
been given its number first. For the same reason a window ends earlier where its end would fall between two such facts
(`outbox_window_end`, in the migrations).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import JSON, BigInteger, Identity, Index, SmallInteger, Text, func, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from ticketing.infra import log
from ticketing.infra.db import Base, new_id


class Xid8(UserDefinedType[str]):
    """A transaction's number that never wraps round; travels as text."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


class Message(BaseModel):
    """A fact on the bus, in the past tense. Subclasses are its published language: fields are added, never changed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    topic: ClassVar[str]
    schema_version: ClassVar[int] = 1
    #: The field whose value keeps the order: all facts of one aggregate travel in one partition.
    key_field: ClassVar[str]

    organization_id: UUID | None = Field(
        None, description="whose fact it is; null for facts about people, which belong to no tenant"
    )

    @property
    def key(self) -> str:
        return str(getattr(self, self.key_field))


def known_topics(parent: type[Message] = Message) -> Iterator[str]:
    """The topic of every message that some module publishes."""
    for message in parent.__subclasses__():
        if hasattr(message, "topic"):
            yield message.topic
        yield from known_topics(message)


class OutboxRow(Base):
    """One fact. Partitioned by time, so that old ones are dropped and not deleted."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_xid_id", "xid", "id"),
        Index("ix_outbox_organization_id_xid_id", "organization_id", "xid", "id"),
        {"postgresql_partition_by": "RANGE (occurred_at)"},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    occurred_at: Mapped[datetime] = mapped_column(server_default=func.now(), primary_key=True)
    xid: Mapped[str] = mapped_column(Xid8, server_default=text("pg_current_xact_id()"))
    organization_id: Mapped[UUID | None]
    message_id: Mapped[UUID] = mapped_column(default=new_id)
    topic: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(Text)
    schema_version: Mapped[int] = mapped_column(SmallInteger)
    #: Text to the server: it is written once and read whole, and who reads it takes it apart himself.
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    correlation_id: Mapped[str] = mapped_column(Text)
    traceparent: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)


class Horizon(Base):
    """Where a window of the log could have ended: whoever reads days of it takes them window by window."""

    __tablename__ = "log_horizons"

    xid: Mapped[str] = mapped_column(Xid8, primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


class Cursor(Base):
    """How far a reader has come, and who is reading for it."""

    __tablename__ = "outbox_cursor"

    reader: Mapped[str] = mapped_column(Text, primary_key=True)
    window_from: Mapped[str] = mapped_column(Xid8, server_default=text("'0'"))
    window_to: Mapped[str | None] = mapped_column(Xid8)
    last_id: Mapped[int] = mapped_column(BigInteger, server_default="0")
    lease_owner: Mapped[str | None] = mapped_column(Text)
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(BigInteger, server_default="0")
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


def publish(session: AsyncSession, message: Message) -> None:
    """Append a fact; it is written when the session flushes, and true when the transaction commits."""
    announce(session, message)
    session.add(
        OutboxRow(
            organization_id=message.organization_id,
            topic=message.topic,
            key=message.key,
            schema_version=message.schema_version,
            payload=message.model_dump(mode="json"),
            correlation_id=log.correlation_id.get(),
            traceparent=log.traceparent.get(),
            actor=log.actor.get(),
        )
    )


def announce(session: AsyncSession, message: Message) -> None:
    """Let the end of the transaction say that there are facts, and about which events (see `Database.transaction`)."""
    session.info.setdefault("told_topics", set()).add(message.topic)
    if (event_id := getattr(message, "event_id", None)) is not None:
        session.info.setdefault("changed_events", set()).add(event_id)


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

    @classmethod
    def of_row(cls, row: Mapping[Any, Any]) -> Self:
        """The message of a row of the log."""
        names = cls.__dataclass_fields__.keys() - {"log_id"}
        return cls(**{name: row[name] for name in names}, log_id=row["id"])


#: What a reader `r` has not read of rows `o`: by transaction and not by id, as it reads.
UNREAD = "o.xid >= r.window_from and (r.window_to is null or o.xid >= r.window_to or o.id > r.last_id)"
