"""A database URL may name several servers, of which the one that accepts writes is used."""

import psycopg
import pytest
from sqlalchemy.engine import make_url

from ticketing.infra.config import ConfigurationError, Settings
from ticketing.infra.config.database_url import parse_database_url
from ticketing.infra.db import Database, roles
from ticketing.infra.db.server_requirements import check_server
from ticketing.infra.embedded.postgres import EmbeddedPostgres


@pytest.mark.parametrize(
    ("written", "parsed"),
    [
        ("postgres://u:p@db/t", "postgresql+psycopg://u:p@db/t"),
        ("postgresql://u:p@[::1]:5433/t?sslmode=require", "postgresql+psycopg://u:p@[::1]:5433/t?sslmode=require"),
        ("postgresql://u:p@a:1,b/t", "postgresql+psycopg://u:p@/t?host=a,b&port=1,5432"),
        (
            "postgresql://u@a,[::1]:2/t?target_session_attrs=read-write",
            "postgresql+psycopg://u@/t?host=a,::1&port=5432,2&target_session_attrs=read-write",
        ),
    ],
)
def test_urls_are_accepted_as_operators_write_them(written: str, parsed: str) -> None:
    assert parse_database_url(written) == parsed


@pytest.mark.parametrize("url", ["mysql://u:p@db/t", "db:5432", "postgresql://u:p@ss@db/t", "postgresql://u:p/a@db/t"])
def test_other_schemes_and_unencoded_passwords_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must look like postgresql://"):
        parse_database_url(url)


@pytest.mark.parametrize("options", ["-c%20search_path%3Dpublic", "-c+search_path%3Dpublic"])
def test_parameters_mean_the_same_in_every_connection(postgres: EmbeddedPostgres, options: str) -> None:
    """With a parameter that libpq would decode in another way, the role of requests is checked all the same."""
    url = parse_database_url(f"{postgres.url()}?options={options}")
    with pytest.raises(ConfigurationError, match="sees every tenant"):
        roles.check_requests(url)


async def test_of_several_servers_the_one_that_accepts_writes_is_used(
    settings: Settings, postgres: EmbeddedPostgres, database_url: str
) -> None:
    """The first is dead; once the other one is read-only too, there is none."""
    url = make_url(database_url)
    two = f"postgresql://{url.username}:{url.password}@127.0.0.1:1,127.0.0.1:{postgres.port}/{url.database}"
    parsed = parse_database_url(f"{two}?target_session_attrs=read-write")
    database = Database(settings, url=parsed)
    async with database.engine.connect() as connection:
        assert (await connection.exec_driver_sql("select current_database()")).scalar() == url.database
    await database.close()
    assert check_server("DATABASE_URL", parsed, 5)
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"alter database {url.database} set default_transaction_read_only = on".encode())
    assert not check_server("DATABASE_URL", parsed, 5)
