"""The facts of a whole batch, appended to the log in one statement."""

from typing import Any, TypedDict
from uuid import UUID

from ticketing.infra.db import new_id
from ticketing.infra.log import Cause
from ticketing.infra.outbox import Message
from ticketing.infra.wire import Wire, rows, send


class FactRow(TypedDict):
    """What `outbox.publish` writes of a message, as plain values."""

    message_id: UUID
    topic: str
    key: UUID
    schema_version: int
    payload: dict[str, Any]
    correlation_id: str
    traceparent: str
    actor: str


def fact(kind: type[Message], key: UUID, payload: dict[str, Any], cause: Cause) -> FactRow:
    """A fact whose payload is at hand as it will be stored: what the model of its kind would dump."""
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


async def publish_all(wire: Wire, organization_id: UUID, facts: list[FactRow]) -> None:
    """Append facts of one organization, in this order; true when the transaction commits."""
    await send(wire, APPEND, organization_id, rows(facts))


#: Takes an organization and `rows` of its facts.
APPEND = """
insert into outbox (organization_id, message_id, topic, key, schema_version, payload, correlation_id, traceparent,
                    actor)
select %s, message_id, topic, key, schema_version, payload, correlation_id, traceparent, actor
  from json_to_recordset(%s::json) as w (message_id uuid, topic text, key text, schema_version smallint,
                                         payload json, correlation_id text, traceparent text, actor text)"""
