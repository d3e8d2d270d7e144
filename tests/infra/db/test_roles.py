"""The roles of the running system read and write, and own nothing."""

import psycopg
import pytest

from ticketing.infra.config import ConfigurationError
from ticketing.infra.db.roles import admit, check_requests, check_workers
from ticketing.infra.db.schema import REQUESTS, WORKERS
from ticketing.infra.embedded.postgres import APPLICATION, WORKER, EmbeddedPostgres


def test_the_application_role_reads_and_writes_but_owns_nothing(postgres: EmbeddedPostgres, database_url: str) -> None:
    name = database_url.rpartition("/")[2]
    for role, group in ((APPLICATION, REQUESTS), (WORKER, WORKERS)):
        for _ in range(2):
            admit(database_url, postgres.url(name, role), group)
        with psycopg.connect(driver_url(postgres.url(name, role)), autocommit=True) as connection:
            connection.execute("INSERT INTO idempotency_keys VALUES ('me', %s, '', 200, '')", [role])
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("DROP TABLE idempotency_keys")


def test_rights_granted_by_an_earlier_release_are_revoked(postgres: EmbeddedPostgres, database_url: str) -> None:
    name = database_url.rpartition("/")[2]
    with psycopg.connect(driver_url(database_url), autocommit=True) as owner:
        owner.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {APPLICATION}")
        owner.execute(f"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {APPLICATION}")
    admit(database_url, postgres.url(name, APPLICATION), REQUESTS)
    with psycopg.connect(driver_url(database_url), autocommit=True) as owner:
        owner.execute("CREATE TABLE made_later (label text)")
    with psycopg.connect(driver_url(postgres.url(name, APPLICATION)), autocommit=True) as connection:
        for table in ("outbox_default", "made_later"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT FROM {table}")


def test_a_role_that_bypasses_row_level_security_is_refused(postgres: EmbeddedPostgres, database_url: str) -> None:
    with psycopg.connect(driver_url(postgres.url()), autocommit=True) as superuser:
        superuser.execute("CREATE ROLE bypassing_role LOGIN BYPASSRLS PASSWORD 'x'")
        try:
            with pytest.raises(ConfigurationError, match="bypassing_role"):
                admit(database_url, postgres.url("postgres", "bypassing_role"), REQUESTS)
        finally:
            superuser.execute("DROP ROLE bypassing_role")


def test_the_same_role_for_both_is_left_unchanged(database_url: str) -> None:
    member = "SELECT count(*) FROM pg_auth_members WHERE roleid = %s::regrole AND member = current_user::regrole"
    with psycopg.connect(driver_url(database_url), autocommit=True) as owner:
        before = owner.execute(member, [REQUESTS]).fetchone()
        admit(database_url, database_url, REQUESTS)
        assert owner.execute(member, [REQUESTS]).fetchone() == before


def test_requests_need_a_restricted_role_and_workers_an_unrestricted_one(
    postgres: EmbeddedPostgres, database_url: str
) -> None:
    name = database_url.rpartition("/")[2]
    requests, workers = postgres.url(name, APPLICATION), postgres.url(name, WORKER)
    check_requests(requests)
    check_workers(workers)
    for privileged in (database_url, workers):
        with pytest.raises(ConfigurationError, match="sees every tenant"):
            check_requests(privileged)
    with pytest.raises(ConfigurationError, match=WORKERS):
        check_workers(requests)


def driver_url(url: str) -> str:
    return url.replace("+psycopg", "")
