"""No request, message or frequent job reads a whole table, or a whole index, when tables have a million rows."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import httpx2
import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.support.drain import drain
from tests.sweeps.calls import organization, reads, sale  # noqa: F401 (imported to register the examples)
from tests.sweeps.calls.call import EXAMPLES, build_call, send
from tests.sweeps.full_tenant import FullTenant
from tests.sweeps.openapi.routes import STREAM
from tests.sweeps.query_plans.plans import Scan, enlarge, first_columns, read_scans
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.embedded.postgres import EmbeddedPostgres
from ticketing.modules import webhooks
from ticketing.workers import lag_metrics
from ticketing.workers.scheduler import JOBS, run_job

#: Tables that stay small, with the reason.
SMALL = {
    "alembic_version": "one row",
    "dead_letters": "an alert fires at the first row",
    "log_cluster": "one row",
    "outbox_cursor": "a row per reader",
    "outbox_default": "empty while the scheduler makes partitions in time; an alert fires otherwise",
    "webhook_endpoints": "a row per receiver, which the worker reads in turns",
}
#: Parts of statements that may read a whole table, with the reason.
MAY_READ_ALL = {
    "WHERE organizations.buyer_data_days IS NOT NULL": "hourly: the end of retention depends on three tables",
}


class Recorder:
    """The plans of everything that is executed inside of `recording`."""

    def __init__(self, postgres: EmbeddedPostgres, database_url: str) -> None:
        self._postgres, self._scans = postgres, list[Scan]()
        with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
            enlarge(connection, postgres.data, SMALL)
            self._first_columns = first_columns(connection)

    @contextmanager
    def recording(self) -> Iterator[None]:
        start = self._postgres.log_path.stat().st_size
        yield
        with self._postgres.log_path.open("rb") as log:
            log.seek(start)
            self._scans += read_scans(log.read())

    @property
    def tables(self) -> set[str]:
        return {scan.node["Relation Name"] for scan in self._scans if "Relation Name" in scan.node}

    def complete_reads(self) -> set[str]:
        """What reads a whole table or index, and may not."""
        found = [scan for scan in self._scans if scan.name not in SMALL and scan.reads_all(self._first_columns)]
        return {f"{scan.name}: {scan.query}" for scan in found if not any(part in scan.query for part in MAY_READ_ALL)}


@pytest.fixture(scope="module")
async def recorder(
    app: FastAPI, tenant: FullTenant, postgres: EmbeddedPostgres, database_url: str
) -> AsyncIterator[Recorder]:
    recorder = Recorder(postgres, database_url)
    # The settings apply to new connections.
    for database in (app.state.get(Database), app.state.worker_database):
        await database.engine.dispose()
    return recorder


async def test_nothing_reads_a_whole_table(
    app: FastAPI, client: httpx2.AsyncClient, tenant: FullTenant, settings: Settings, recorder: Recorder
) -> None:
    for name, build in EXAMPLES.items():
        if name.partition(" (")[0] != STREAM:
            call = await build_call(build, tenant)
            with recorder.recording():
                assert (await send(client, call)).status_code < 400, name
    async with app.state.owner_database.transaction() as session:
        await session.execute(text("update reservations set expires_at = now() where status = 'active'"))
    with recorder.recording():
        database = app.state.worker_database
        for name, (job, _) in JOBS.items():
            await run_job(name, job, settings, database)
        await drain(app)
        await webhooks.fan_out(database)
        await webhooks.find_due_endpoints(database, [], 10)
        await lag_metrics.measure_log(settings, database)
    assert len(recorder.tables) > 25, recorder.tables
    assert recorder.complete_reads() == set()


async def test_a_missing_index_is_found(app: FastAPI, tenant: FullTenant, recorder: Recorder) -> None:
    async with app.state.owner_database.transaction() as session:
        await session.execute(text("drop index ix_orders_user_id_id"))
    with recorder.recording():
        await tenant.buyer.get("/me/orders")
    (found,) = recorder.complete_reads()
    assert "FROM orders WHERE orders.user_id" in found
