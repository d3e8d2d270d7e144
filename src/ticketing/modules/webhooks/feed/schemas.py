"""The response body of the change feed."""

from typing import Any, Self
from uuid import UUID

from ticketing.infra.http.fields import Moment, Out
from ticketing.modules.webhooks.tenant_log import LogRow


class FeedItemOut(Out):
    """A message; `data` is its payload, in version `schema_version` of its type."""

    id: UUID
    type: str
    occurred_at: Moment
    schema_version: int
    data: dict[str, Any]

    @classmethod
    def of(cls, row: LogRow) -> Self:
        return cls(
            id=row.message_id,
            type=row.topic,
            occurred_at=row.occurred_at,
            schema_version=row.schema_version,
            data=row.payload,
        )
