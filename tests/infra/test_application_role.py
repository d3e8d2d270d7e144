"""The running system's role reads and writes, and owns nothing."""

import psycopg
import pytest

from ticketing.infra.application_role import admit
from ticketing.infra.embedded_postgres import APPLICATION, EmbeddedPostgres


def test_the_application_role_reads_and_writes_but_owns_nothing(postgres: EmbeddedPostgres, database_url: str) -> None:
    name = database_url.rpartition("/")[2]
    application = postgres.url(name, APPLICATION)
    with psycopg.connect(plain(database_url), autocommit=True) as owner:
        owner.execute("CREATE TABLE before_it (label text)")
        for _ in range(2):
            admit(database_url, application)
        owner.execute("CREATE TABLE after_it (number int GENERATED ALWAYS AS IDENTITY, label text)")
        with psycopg.connect(plain(application), autocommit=True) as connection:
            connection.execute("INSERT INTO before_it (label) VALUES ('A-1')")
            connection.execute("INSERT INTO after_it (label) VALUES ('A-1')")
            assert connection.execute("SELECT label FROM after_it").fetchone() == ("A-1",)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("DROP TABLE before_it")


def test_one_role_for_both_needs_nothing(database_url: str) -> None:
    admit(database_url, database_url)


def plain(url: str) -> str:
    return url.replace("+psycopg", "")
