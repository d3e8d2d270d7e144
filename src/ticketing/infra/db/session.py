"""One engine, one transaction per request, message or batch; only the edge commits."""

import math
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

import orjson
import psycopg
from fastapi import Depends, Request
from sqlalchemy import Connection, DateTime, Engine, MetaData, event, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, SessionTransaction, mapped_column
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection
from sqlalchemy.util import await_only
from uuid_utils.compat import uuid7

from ticketing.infra import app_state, crash_points, security
from ticketing.infra.config import Settings
from ticketing.infra.db import log_cluster, statements, tenancy, timeouts
from ticketing.infra.db.driver.errors import sqlalchemy_error
from ticketing.infra.db.driver.lending import lend
from ticketing.infra.db.driver.round_trip import is_in_step
from ticketing.infra.db.pipeline import DriverConnection, pipelined
from ticketing.infra.db.reads import DriverReads, ReadBatches
from ticketing.infra.redis.commit_notifications import CommitNotifier
from ticketing.infra.system.outside_calls import transaction_scope

#: A connection that was idle for longer is checked with a ping before it is used.
PING_AFTER_SECONDS = 2.0

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """The tables of all modules share one metadata, so that migrations see all of them."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: DateTime(timezone=True), dict[str, Any]: JSONB}


def new_id() -> UUID:
    """A UUIDv7: it sorts by time, so an index grows at one end. Made here: Postgres before 18 has no such function."""
    return uuid7()


class Identified:
    """A row with a UUIDv7 as its primary key, and the time of its insert."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class PersonalSession(Session):
    """A session whose transactions begin with the statement that names the caller, if there is one."""


@event.listens_for(PersonalSession, "after_begin")
def _set_caller(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    # At the first statement and not before: a request that needs no database takes no connection from the pool.
    if (user_id := session.info.get("user_id")) is None or transaction.nested:
        return
    if not session.info.pop("defers_caller", False):
        connection.exec_driver_sql(tenancy.SET_CALLER, (str(user_id),))


def _check_idle_connections(engine: Engine, result_seconds: float) -> None:
    """Ping a pooled connection before it is used, unless it was used within PING_AFTER_SECONDS.

    A ping costs a round trip, which is a large part of a short transaction. When one connection finds that its server
    is unusable (a demoted primary responds to pings), those that were opened before it are replaced without a ping.
    """
    outdated_until = -math.inf

    @event.listens_for(engine, "connect")
    def on_connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        driver = connection.driver_connection
        driver.result_seconds = result_seconds

        def on_server_lost() -> None:
            nonlocal outdated_until
            outdated_until = max(outdated_until, driver.opened_at)

        driver.on_server_lost = on_server_lost

    @event.listens_for(engine, "checkin")
    def on_checkin(connection: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        entry.info["idle_since"] = time.monotonic()
        if connection is None:
            return
        connection.driver_connection.result_seconds = result_seconds
        connection.driver_connection.deferred.clear()
        # A task that was cancelled in the middle of a round trip leaves its pipeline open, and the connection out of
        # step with its results. A deferred statement that failed before a commit leaves its transaction open.
        if not is_in_step(connection.driver_connection.pgconn):
            entry.invalidate()

    @event.listens_for(engine, "checkout")
    def on_checkout(connection: DBAPIConnection, entry: ConnectionPoolEntry, _: PoolProxiedConnection) -> None:
        if connection.driver_connection.opened_at <= outdated_until:
            raise InvalidatePoolError
        # A new connection has no such time.
        if time.monotonic() - entry.info.get("idle_since", math.inf) < PING_AFTER_SECONDS:
            return
        connection.driver_connection.result_seconds = timeouts.PING_SECONDS
        try:
            engine.dialect.do_ping(connection)
        except psycopg.OperationalError as error:
            raise InvalidatePoolError from error  # the pool opens another one
        finally:
            connection.driver_connection.result_seconds = result_seconds


def _send_deferred_statements(engine: Engine) -> None:
    """Send deferred statements (see `statements.defer`) before their transaction's next statement, or its commit."""

    async def send_all(connection: DriverConnection) -> None:
        async with pipelined(connection):
            pass

    def send_first(pooled: Connection, *_: Any) -> None:
        connection: Any = pooled.connection.driver_connection
        if connection.deferred:
            try:
                await_only(send_all(connection))
            except psycopg.Error as error:
                raise sqlalchemy_error(engine.dialect, error) from error

    def discard(pooled: Connection) -> None:
        if not pooled.invalidated:
            connection: Any = pooled.connection.driver_connection
            connection.deferred.clear()

    event.listen(engine, "before_cursor_execute", send_first)
    event.listen(engine, "commit", send_first)
    event.listen(engine, "rollback", discard)


class Database:
    """The process's engine and the sessions made from it."""

    def __init__(
        self,
        settings: Settings,
        *,
        notifier: CommitNotifier | None = None,
        url: str | None = None,
        statement_seconds: float = timeouts.STATEMENT_SECONDS,
        adopts_log: bool = True,
    ) -> None:
        """`statement_seconds`: limit of each statement, unless `timeouts.allow_long_statements` raises it.

        `adopts_log`: connections may change the database as log_cluster.py says.
        """
        self.notifier = notifier
        #: Called with the subject ids and the topics of committed messages; must neither raise nor block.
        self.on_changed: list[Callable[[Collection[UUID], Collection[str]], None]] = []
        self.engine = create_async_engine(
            url or settings.database_url,
            pool_size=settings.database_pool_size,
            max_overflow=0,
            # Who borrows a connection ends its transaction. One that comes back with an open one is replaced (below).
            pool_reset_on_return=None,
            # After this time without a free connection, the response is 503.
            pool_timeout=settings.database_pool_timeout_seconds,
            # Statements' values contain email addresses and codes, and the text of an exception ends up in a log.
            hide_parameters=True,
            json_serializer=lambda value: orjson.dumps(value, default=str).decode(),
            json_deserializer=orjson.loads,
            connect_args=timeouts.connect_arguments(statement_seconds, settings.database_prepare_threshold),
        )
        _check_idle_connections(self.engine.sync_engine, statement_seconds + timeouts.CLIENT_MARGIN_SECONDS)
        _send_deferred_statements(self.engine.sync_engine)
        if adopts_log:
            log_cluster.check_new_connections(self.engine.sync_engine)
        self._read_batches = ReadBatches(lambda: lend(self.engine.sync_engine))
        self._sessions = async_sessionmaker(self.engine, sync_session_class=PersonalSession, expire_on_commit=False)

    @asynccontextmanager
    async def transaction(self, user_id: UUID | None = None) -> AsyncIterator[AsyncSession]:
        """A session that commits at the end of the block, and rolls back if the block raises.

        It sees the rows of `user_id` only, until `tenancy.enter` or `tenancy.show` adds an organization's.
        """
        async with self._sessions(info={"user_id": user_id}) as session:
            with transaction_scope(session.in_transaction):
                yield session
            try:
                await statements.commit(session)
            finally:
                # Also after an error or a cancellation: the server may have committed all the same.
                if topics := session.info.get("changed_topics"):
                    self.notify_changed(session.info.get("changed_subjects", ()), topics)
        for callback in session.info.pop("on_commit", ()):
            callback()

    def driver_reads(self, user_id: UUID | None = None) -> DriverReads:
        """Reads of `user_id`'s rows, outside of any session."""
        return DriverReads(self.engine.sync_engine, self._read_batches, user_id)

    def notify_changed(self, subject_ids: Collection[UUID], topics: Collection[str]) -> None:
        """Notify that messages of these topics were committed, and that these subjects have changed.

        The caches of this process are invalidated at once, readers of the topics and other processes soon after.
        """
        for callback in self.on_changed:
            callback(subject_ids, topics)
        if self.notifier is not None:
            self.notifier.send(subject_ids, topics)

    async def close(self) -> None:
        if self.notifier is not None:
            await self.notifier.close()
        await self.engine.dispose()


async def transaction_time(session: AsyncSession) -> datetime:
    """When the transaction began, by Postgres's clock: what its statements call now()."""
    now: datetime = (await session.execute(select(func.now()))).scalar_one()
    return now


def on_commit(session: AsyncSession, callback: Callable[[], None]) -> None:
    """Call `callback` after the commit. It works on this process's memory, and may neither raise nor block."""
    session.info.setdefault("on_commit", []).append(callback)


async def transaction(request: Request) -> AsyncIterator[AsyncSession]:
    """The request's transaction: committed after the route has returned, before a byte of the response is sent."""
    claims = security.find_claims(request)
    async with app_state.of(request.app).get(Database).transaction(claims.user_id if claims else None) as session:
        yield session
    if "changed_topics" in session.info:
        crash_points.at("after_commit_before_ack")


# scope="function": with FastAPI's default scope the commit would come after the response, so that a client would read
# 200 before a commit that may fail.
Db = Annotated[AsyncSession, Depends(transaction, scope="function")]


async def driver_reads(request: Request) -> DriverReads:
    """The request's reads, of the caller's own rows."""
    claims = security.find_claims(request)
    return app_state.of(request.app).get(Database).driver_reads(claims.user_id if claims else None)


ReadDb = Annotated[DriverReads, Depends(driver_reads)]
