"""One engine, one transaction per request, message or batch; only the edge commits."""

import math
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
import psycopg
from fastapi import Depends, Request
from psycopg.pq import PipelineStatus, TransactionStatus
from sqlalchemy import Connection, DateTime, Dialect, Engine, MetaData, event, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, SessionTransaction, mapped_column
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection
from sqlalchemy.util import await_only
from uuid_utils.compat import uuid7

from ticketing.infra import app_state, crash_points, security
from ticketing.infra.config import Settings
from ticketing.infra.db import tenancy, timeouts
from ticketing.infra.db.pipeline import Wire, pipelined, send_waiting
from ticketing.infra.redis.commit_notifications import Nudge

#: A connection that has rested so long is asked whether it lives before it is used.
PING_AFTER_SECONDS = 2.0

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Tables of every module share one metadata, so that migrations see them all."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: DateTime(timezone=True), dict[str, Any]: JSONB}  # noqa: RUF012


def new_id() -> UUID:
    """A UUIDv7: it sorts by time, so an index grows at one end. Made here: a server older than 18 can't."""
    return uuid7()


class Identified:
    """A row with an id of ours and the time of its insert."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class PersonalSession(Session):
    """A session whose transactions begin by saying who calls, when somebody does."""


@event.listens_for(PersonalSession, "after_begin")
def _say_who_calls(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    # With the first statement and not before: a request that needs no database takes no connection.
    if (user_id := session.info.get("user_id")) is None or transaction.nested:
        return
    if not session.info.pop("says_who_calls", False):
        connection.exec_driver_sql(tenancy.NAMING, (str(user_id),))


def _ping_the_rested(engine: Engine, answer_seconds: float) -> None:
    """Ask a pooled connection whether it lives before it is used, unless somebody used it a moment ago.

    A ping costs a round trip, which is a large part of a short transaction.
    """

    @event.listens_for(engine, "connect")
    def bound(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.driver_connection.answer_seconds = answer_seconds

    @event.listens_for(engine, "checkin")
    def rest(connection: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        entry.info["rests_since"] = time.monotonic()
        if connection is None:
            return
        connection.driver_connection.answer_seconds = answer_seconds
        connection.driver_connection.later.clear()
        # Who was cut off in the middle of a round trip has left its pipeline open: nobody could read an answer here.
        # And where something failed that was to be sent before a commit, the transaction is open.
        state = connection.driver_connection.pgconn
        if state.pipeline_status != PipelineStatus.OFF or state.transaction_status != TransactionStatus.IDLE:
            entry.invalidate()

    @event.listens_for(engine, "checkout")
    def ping(connection: DBAPIConnection, entry: ConnectionPoolEntry, _: PoolProxiedConnection) -> None:
        # A new connection has not rested yet.
        if time.monotonic() - entry.info.get("rests_since", math.inf) < PING_AFTER_SECONDS:
            return
        connection.driver_connection.answer_seconds = timeouts.PING_SECONDS
        try:
            engine.dialect.do_ping(connection)
        except psycopg.OperationalError as error:
            raise InvalidatePoolError from error  # the pool opens another one
        finally:
            connection.driver_connection.answer_seconds = answer_seconds


def _send_what_waits(engine: Engine) -> None:
    """What `plain.later` was given comes before whatever else its transaction does, its commit included."""

    async def send_all(wire: Wire) -> None:
        async with pipelined(wire):
            await send_waiting(wire)

    def send_first(connection: Connection, *_: Any) -> None:
        wire: Any = connection.connection.driver_connection
        if wire.later:
            try:
                await_only(send_all(wire))
            except psycopg.Error as error:
                raise as_sqlalchemy_says(engine.dialect, error) from error

    def forget(connection: Connection) -> None:
        if not connection.invalidated:
            wire: Any = connection.connection.driver_connection
            wire.later.clear()

    event.listen(engine, "before_cursor_execute", send_first)
    event.listen(engine, "commit", send_first)
    event.listen(engine, "rollback", forget)


def as_sqlalchemy_says(dialect: Dialect, error: psycopg.Error) -> BaseException:
    """What a session would raise where psycopg has raised this."""
    return DBAPIError.instance(None, None, error, psycopg.Error, hide_parameters=True, dialect=dialect)


class Database:
    """The process's engine and the sessions made from it."""

    def __init__(
        self,
        settings: Settings,
        *,
        nudge: Nudge | None = None,
        url: str | None = None,
        statement_seconds: float = timeouts.STATEMENT_SECONDS,
    ) -> None:
        """`statement_seconds`: no statement may take longer, unless `deadlines.be_patient` says so."""
        self.nudge = nudge
        #: Called with the ids of events about which facts were committed; they may neither fail nor wait.
        self.on_changed: list[Callable[[Collection[UUID]], None]] = []
        self.engine = create_async_engine(
            url or settings.database_url,
            pool_size=settings.database_pool_size,
            max_overflow=0,
            # A request that can't get a connection in time is told so with a 503; it never waits for ever.
            pool_timeout=settings.database_pool_timeout_seconds,
            # Values of statements hold e-mail addresses and codes; an exception's text ends up in a log.
            hide_parameters=True,
            json_serializer=lambda value: orjson.dumps(value, default=str).decode(),
            json_deserializer=orjson.loads,
            connect_args=timeouts.connect_arguments(statement_seconds),
        )
        _ping_the_rested(self.engine.sync_engine, statement_seconds + timeouts.MARGIN_SECONDS)
        _send_what_waits(self.engine.sync_engine)
        self._sessions = async_sessionmaker(self.engine, sync_session_class=PersonalSession, expire_on_commit=False)

    @asynccontextmanager
    async def transaction(self, user_id: UUID | None = None) -> AsyncIterator[AsyncSession]:
        """A session that commits when the block ends well, and rolls back when it raises.

        What it may touch is nobody's but `user_id`'s own rows until `tenancy.enter` or `tenancy.show` says more.
        """
        async with self._sessions(info={"user_id": user_id}) as session:
            yield session
            try:
                await session.commit()
            finally:
                # Also when it failed, or its client left: nobody knows then whether the server has committed.
                if topics := session.info.get("told_topics"):
                    self.tell_changed(session.info.get("changed_events", ()), topics)
        for act in session.info.pop("on_commit", ()):
            act()

    def tell_changed(self, event_ids: Collection[UUID], topics: Collection[str]) -> None:
        """Say that facts of these topics were committed, about these events among others.

        This process hears it at once, readers of the topics and other processes' copies soon.
        """
        for hear in self.on_changed:
            hear(event_ids)
        if self.nudge is not None:
            self.nudge.send(event_ids, topics)

    async def close(self) -> None:
        if self.nudge is not None:
            await self.nudge.close()
        await self.engine.dispose()


def on_commit(session: AsyncSession, act: Callable[[], None]) -> None:
    """Do this as soon as the transaction has committed, in this process's memory: nothing that may fail or wait."""
    session.info.setdefault("on_commit", []).append(act)


async def transaction(request: Request) -> AsyncIterator[AsyncSession]:
    """The request's transaction: committed after the route has returned and before a byte of the answer leaves."""
    claims = security.find_claims(request)
    async with app_state.of(request.app).get(Database).transaction(claims.user_id if claims else None) as session:
        yield session
    if "told_topics" in session.info:
        crash_points.at("after_commit_before_ack")


# scope="function": with FastAPI's default scope the commit would run after the answer has left, and a client
# would read 200 before a commit that may fail.
Db = Annotated[AsyncSession, Depends(transaction, scope="function")]
