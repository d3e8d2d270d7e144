"""The needed version is read from the migrations, and a database that lacks anything is not up to date."""

import psycopg
import pytest
from alembic.script import ScriptDirectory

from ticketing.infra.db import migrate, schema
from ticketing.infra.db.schema import REQUESTS, WORKERS
from ticketing.infra.embedded.postgres import APPLICATION, WORKER, EmbeddedPostgres


def test_versions_are_those_that_alembic_knows() -> None:
    scripts = ScriptDirectory.from_config(migrate.config(""))
    assert schema.newest() == scripts.get_current_head()
    assert schema.versions() == {script.revision for script in scripts.walk_revisions()}


@pytest.fixture
def log_ins(postgres: EmbeddedPostgres, database_url: str) -> dict[str, str]:
    name = database_url.rpartition("/")[2]
    return {postgres.url(name, APPLICATION): REQUESTS, postgres.url(name, WORKER): WORKERS}


def test_a_migrated_database_is_up_to_date(database_url: str, log_ins: dict[str, str]) -> None:
    assert schema.is_up_to_date(database_url, log_ins)


@pytest.mark.parametrize(
    "change",
    ["update alembic_version set version_num = '0001'", "delete from alembic_version", "drop table alembic_version"],
)
def test_an_older_database_is_not_up_to_date(database_url: str, log_ins: dict[str, str], change: str) -> None:
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as owner:
        owner.execute(change)
    assert not schema.is_up_to_date(database_url, log_ins)


def test_a_database_with_wrong_roles_is_not_up_to_date(
    postgres: EmbeddedPostgres, database_url: str, log_ins: dict[str, str]
) -> None:
    name = database_url.rpartition("/")[2]
    (requests, _), (_, _) = log_ins.items()
    assert not schema.is_up_to_date(database_url, {requests: WORKERS})
    assert not schema.is_up_to_date(database_url, {requests.replace(APPLICATION, "nobody"): REQUESTS})
    assert not schema.is_up_to_date(database_url, {database_url: REQUESTS})
    assert not schema.is_up_to_date(postgres.url(f"no_{name}"), {})
