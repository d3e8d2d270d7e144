"""The outbox log: messages are appended in the transaction of the change they describe; readers move a cursor along it.

A row's position, `xid`, is the id of its transaction plus an offset that depends on the cluster (`log_position`, in the
migrations), so that positions also grow when the database moves to another cluster, which counts from the start.

Rows are never updated. A reader takes windows of *finished* transactions: all rows whose transaction is older than the
oldest one that is still running. Inside a window, rows are ordered by `id`. A plain `id > last` would skip rows that
commit late. Ordering by transaction id would swap the messages of two transactions on one reservation: the one that
writes second may have got its transaction id first. For the same reason a window ends earlier where its end would fall
between two such messages (`outbox_window_end`, in the migrations).
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, CheckConstraint, Identity, Index, SmallInteger, Text, func, text, true
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from ticketing.infra.db import Base, new_id


class Xid8(UserDefinedType[str]):
    """A transaction id that never wraps around, or a position in the log; bound and returned as text."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


class OutboxRow(Base):
    """One message. Partitioned by day, so that old rows are dropped and not deleted."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_xid_id", "xid", "id"),
        Index("ix_outbox_organization_id_xid_id", "organization_id", "xid", "id"),
        {"postgresql_partition_by": "RANGE (occurred_at)"},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    occurred_at: Mapped[datetime] = mapped_column(server_default=func.now(), primary_key=True)
    xid: Mapped[str] = mapped_column(Xid8, server_default=text("log_position(pg_current_xact_id())"))
    organization_id: Mapped[UUID | None]
    message_id: Mapped[UUID] = mapped_column(default=new_id)
    topic: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(Text)
    schema_version: Mapped[int] = mapped_column(SmallInteger)
    #: `json`, not `jsonb`: the server never looks into it, and returns it as it was written.
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    correlation_id: Mapped[str] = mapped_column(Text)
    traceparent: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)


class Horizon(Base):
    """A place where a window of the log could have ended: a feed that reads days of the log takes them in windows."""

    __tablename__ = "log_horizons"

    xid: Mapped[str] = mapped_column(Xid8, primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


class LogCluster(Base):
    """The cluster that positions of the log belong to; one row. See infra/db/log_cluster.py."""

    __tablename__ = "log_cluster"
    __table_args__ = (CheckConstraint("is_only", name="one_row"),)

    is_only: Mapped[bool] = mapped_column(primary_key=True, server_default=true())
    cluster: Mapped[str] = mapped_column(Text)
    adopted_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Cursor(Base):
    """The position of a reader, and the process that holds its lease."""

    __tablename__ = "outbox_cursor"

    reader: Mapped[str] = mapped_column(Text, primary_key=True)
    window_from: Mapped[str] = mapped_column(Xid8, server_default=text("'0'"))
    window_to: Mapped[str | None] = mapped_column(Xid8)
    last_id: Mapped[int] = mapped_column(BigInteger, server_default="0")
    lease_owner: Mapped[str | None] = mapped_column(Text)
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(BigInteger, server_default="0")
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


#: The end of what can be read: the position of the oldest transaction that still runs.
HORIZON = func.log_position(func.pg_snapshot_xmin(func.pg_current_snapshot()), type_=Xid8)
#: SQL condition: the reader `r` has not read the row `o`. By transaction, as readers read, and not by id alone.
UNREAD = "o.xid >= r.window_from and (r.window_to is null or o.xid >= r.window_to or o.id > r.last_id)"
