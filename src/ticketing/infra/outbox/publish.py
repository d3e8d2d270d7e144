"""The only way to append messages to the log: in the transaction of the change they describe.

A message is sent with the transaction's next writes: in the open round trip, with the deferred statements of a
transaction that has sent statements, or with the session's flush. A batch that writes on a driver connection appends
all of its rows in one statement.
"""

from typing import Any, TypedDict
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import new_id, statements
from ticketing.infra.db.pipeline import DriverConnection, rows, send
from ticketing.infra.log import Cause
from ticketing.infra.outbox.message import Message
from ticketing.infra.outbox.models import OutboxRow

#: Parameters: an organization, and `rows` of its messages.
APPEND = """
insert into outbox (organization_id, message_id, topic, key, schema_version, payload, correlation_id, traceparent,
                    actor)
select %s::uuid, message_id, topic, key, schema_version, payload, correlation_id, traceparent, actor
  from json_to_recordset(%s::json) as w (message_id uuid, topic text, key text, schema_version smallint,
                                         payload json, correlation_id text, traceparent text, actor text)"""


class MessageRow(TypedDict):
    """A row of the log without its organization, which is a parameter of the statement."""

    message_id: UUID
    topic: str
    key: UUID | str
    schema_version: int
    payload: dict[str, Any]
    correlation_id: str
    traceparent: str
    actor: str


def message_row(kind: type[Message], key: UUID | str, payload: dict[str, Any], cause: Cause) -> MessageRow:
    """The row of a message whose payload is already JSON: what `kind.model_dump(mode="json")` returns."""
    return {
        "message_id": new_id(),
        "topic": kind.topic,
        "key": key,
        "schema_version": kind.schema_version,
        "payload": payload,
        "correlation_id": cause.correlation_id,
        "traceparent": cause.traceparent,
        "actor": cause.actor,
    }


def message_of(message: Message, cause: Cause) -> MessageRow:
    """The row of a message that a batch appends for one of its requests."""
    return message_row(type(message), message.key, message.model_dump(mode="json"), cause)


def publish(session: AsyncSession, *messages: Message, cause: Cause | None = None) -> None:
    """Append messages in this order; they are published if and only if the transaction commits.

    `cause` is that of the current request or message, unless it is given.
    """
    cause = cause or Cause.here()
    for message in messages:
        notify_on_commit(session, message)
        row = message_of(message, cause)
        if not statements.defer_row(session, APPEND, message.organization_id, row):
            session.add(OutboxRow(organization_id=message.organization_id, **row))


async def append(connection: DriverConnection, organization_id: UUID, messages: list[MessageRow]) -> None:
    """Append messages of one organization in this order, inside the connection's open transaction."""
    await send(connection, APPEND, organization_id, rows(messages))


def notify_on_commit(session: AsyncSession, message: Message) -> None:
    """Include a message in the transaction's commit notification (see `Database.transaction`); it needs no row."""
    session.info.setdefault("changed_topics", set()).add(message.topic)
    if (subject_id := message.subject_id) is not None:
        session.info.setdefault("changed_subjects", set()).add(subject_id)
