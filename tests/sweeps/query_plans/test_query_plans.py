"""No statement reads a whole table, or depends on statistics: in a new database, after an import, or with many rows."""

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
from tests.sweeps.query_plans.plans import (
    Explainer,
    Scan,
    Statement,
    all_indexes,
    first_columns,
    log_statements,
    read_statements,
)
from tests.sweeps.query_plans.statistics import LARGE, Statistics
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.embedded.postgres import APPLICATION, WORKER, EmbeddedPostgres
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
    "from watched_orders": "an alert: it skips through the orders of two weeks, organization by organization",
    "WHERE check_ins.scanned_by": "an export of what a member of the staff has scanned",
}
#: Statements of functions that cannot be planned without the types of their arguments.
UNEXPLAINED = {"select w.id from unnest(ids, since) as w (id, since)"}
#: What a buyer's purchase executes. The consumers' work follows from it.
SALE = {
    "POST /reservations",
    "POST /orders",
    "POST /payments",
    "POST /checkout",
    "POST /payments/webhooks/{provider}",
}
SALE_JOBS = {"expire_reservations"}

Plans = dict[Statement, list[Scan]]


class Recorder:
    """The statements that are executed inside of `recording`, and which of them belong to a sale."""

    def __init__(self, postgres: EmbeddedPostgres, database: str) -> None:
        self.postgres, self.database = postgres, database
        self.statements, self.of_sale = set[Statement](), set[Statement]()
        self.connection = psycopg.connect(postgres.url(database).replace("+psycopg", ""), autocommit=True)
        log_statements(self.connection)

    @contextmanager
    def recording(self, role: str, *, is_sale: bool) -> Iterator[None]:
        start = self.postgres.log_path.stat().st_size
        yield
        with self.postgres.log_path.open("rb") as log:
            log.seek(start)
            found = read_statements(log.read(), role)
        self.statements |= found
        if is_sale:
            self.of_sale |= found

    def explain_in_each_state(self) -> dict[str, Plans]:
        plans = dict[str, Plans]()
        with Explainer(self.postgres, self.database) as explainer:
            for state, enter in Statistics(self.connection, self.postgres.data, SMALL).states.items():
                enter()
                plans[state] = explainer.explain(self.statements)
        return plans

    def complete_reads(self, plans: Plans) -> set[str]:
        """What reads a whole table or index, and may not."""
        columns = first_columns(self.connection)
        return {
            f"{scan.name}: {_line(statement)}"
            for statement, scans in plans.items()
            for scan in scans
            if scan.node.get("Relation Name", scan.name) not in SMALL and scan.reads_all(columns)
            if not any(part in statement.query for part in MAY_READ_ALL)
        }

    def differences(self, plans: dict[str, Plans]) -> dict[str, dict[str, list[str]]]:
        """Statements of a sale that do not read the same rows in each state, with what they read."""
        found, indexes = {}, all_indexes(self.connection)
        for statement in self.of_sale & plans[LARGE].keys():
            read = {
                state: sorted({scan.access(indexes) for scan in plan[statement] if not scan.name.startswith((*SMALL,))})
                for state, plan in plans.items()
            }
            if len({*map(str, read.values())}) > 1:
                found[_line(statement)] = read
        return found


def _line(statement: Statement) -> str:
    return " ".join(statement.query.split())


@pytest.fixture(scope="module")
async def recorder(
    app: FastAPI, client: httpx2.AsyncClient, tenant: FullTenant, postgres: EmbeddedPostgres, settings: Settings
) -> AsyncIterator[Recorder]:
    """With the statements of every example and job."""
    recorder = Recorder(postgres, settings.database_url.rpartition("/")[2])
    # The settings apply to new connections.
    for database in (app.state.get(Database), app.state.worker_database):
        await database.engine.dispose()
    async with app.state.owner_database.transaction() as session:
        await session.execute(text("update events set max_per_buyer = 1000"))
    for name, build in EXAMPLES.items():
        if (route := name.partition(" (")[0]) != STREAM:
            call = await build_call(build, tenant)
            with recorder.recording(APPLICATION, is_sale=route in SALE):
                assert (await send(client, call)).status_code < 400, name
    async with app.state.owner_database.transaction() as session:
        await session.execute(text("update reservations set expires_at = now() where status = 'active'"))
    database = app.state.worker_database
    for name, (job, _) in JOBS.items():
        with recorder.recording(WORKER, is_sale=name in SALE_JOBS):
            await run_job(name, job, settings, database)
    with recorder.recording(WORKER, is_sale=True):
        await drain(app)
    with recorder.recording(WORKER, is_sale=False):
        await webhooks.fan_out(database)
        await webhooks.find_due_endpoints(database, [], 10)
        await lag_metrics.measure_log(settings, database)
    yield recorder
    recorder.connection.close()


@pytest.fixture(scope="module")
def plans(recorder: Recorder) -> dict[str, Plans]:
    return recorder.explain_in_each_state()


def test_nothing_reads_a_whole_table(recorder: Recorder, plans: dict[str, Plans]) -> None:
    scans = [scan for of_statement in plans[LARGE].values() for scan in of_statement]
    tables = {scan.node["Relation Name"] for scan in scans if "Relation Name" in scan.node}
    assert len(tables) > 25, tables
    assert recorder.complete_reads(plans[LARGE]) == set()


def test_the_statements_of_a_sale_do_not_depend_on_statistics(recorder: Recorder, plans: dict[str, Plans]) -> None:
    assert len(recorder.of_sale) > 80
    assert recorder.differences(plans) == {}


def test_all_statements_are_explained(recorder: Recorder, plans: dict[str, Plans]) -> None:
    unexplained = {_line(statement) for statement in recorder.statements - plans[LARGE].keys()}
    assert {line for line in unexplained if not line.startswith((*UNEXPLAINED,))} == set()


def test_a_missing_index_is_found(recorder: Recorder, plans: dict[str, Plans]) -> None:
    recorder.connection.execute("drop index ix_orders_user_id_id")
    with Explainer(recorder.postgres, recorder.database) as explainer:
        found = recorder.complete_reads(explainer.explain(recorder.statements))
    assert any("FROM orders WHERE orders.user_id" in read for read in found)


def test_a_plan_that_depends_on_statistics_is_found(recorder: Recorder, plans: dict[str, Plans]) -> None:
    recorder.connection.execute("delete from pg_statistic where starelid >= 16384")
    with Explainer(recorder.postgres, recorder.database, settings={}) as explainer:
        assert recorder.differences(plans | {"by default": explainer.explain(recorder.of_sale)})
