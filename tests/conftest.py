"""Fixtures with real servers: one Postgres and one Valkey per session, and a new migrated database per test."""

import asyncio
import base64
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

# Set before any module of the platform reads the environment.
os.environ |= {
    "JWT_SECRET": "a secret for tests that is long enough",
    "MOCK_WEBHOOK_SECRET": "whsec for tests",
    "TICKET_SIGNING_KEY": base64.b64encode(b"k" * 32).decode(),
    "LOG_FORMAT": "json",
    "ARGON2_MEMORY_KIB": "64",
    "LOG_LEVEL": "warning",
    # Tests send requests faster than any limit allows; the tests of the limits enable them.
    "RATE_LIMITS": "off",
    # One buyer of a test holds as much as it needs; the tests of the limit on held places enable it.
    "HELD_PLACES_MAX": "0",
    "SEAT_REST_SECONDS": "0",
}

import httpx2
import psycopg
import pytest
from fastapi import FastAPI

from tests.support import compiled_statements, time_limits
from tests.support.kafka_broker import kafka_broker  # noqa: F401 (pytest finds fixtures by name)
from tests.support.platform import platform  # noqa: F401
from tests.support.plugins.distribution import (  # noqa: F401 (pytest finds hooks by name)
    pytest_collection_finish,
    pytest_collection_modifyitems,
    pytest_runtest_teardown,
    pytest_xdist_make_scheduler,
)
from tests.support.time_limits import PATIENCE_SECONDS, product_time_limits  # noqa: F401
from tests.support.world import World
from ticketing.infra.app_state import AppState
from ticketing.infra.config import Settings, get_settings
from ticketing.infra.db import Database, migrate
from ticketing.infra.db.roles import admit
from ticketing.infra.db.schema import REQUESTS, WORKERS
from ticketing.infra.embedded.postgres import APPLICATION, OWNER, WORKER, EmbeddedPostgres
from ticketing.infra.embedded.valkey import EmbeddedValkey
from ticketing.main import create_app
from ticketing.modules import payments

time_limits.lengthen()

TEMPLATE = "template_ticketing"
# Tests need isolation, not durability. Each test creates a database, which must not take longer than the test itself:
# "clone" lets the kernel copy the files of the template.
FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "file_copy_method": "clone",
    # Each test connects about six times; 4,096 rounds of hashing take longer than a query.
    "scram_iterations": "1",
    # A connection that was cancelled while authenticating stays open until this timeout and blocks DROP DATABASE.
    "authentication_timeout": "10",
    "max_connections": "300",
}
#: A file system in memory, on Linux; there a database is made in a third of the time, if there is room for some.
MEMORY = Path("/dev/shm")  # noqa: S108 (only a temporary folder inside it is used)
ROOM_BYTES = 4 * 1024**3


@pytest.fixture(scope="session")
def quick_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory if there is enough of it, else a temporary folder on disk."""
    if not (os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM_BYTES):
        yield tmp_path_factory.mktemp("postgres")
        return
    with TemporaryDirectory(prefix="ticketing-tests-", dir=MEMORY, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres(quick_folder: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(quick_folder / "postgres", FAST) as server:
        server.create_database(TEMPLATE)
        server.hand_to_owner(TEMPLATE)
        with psycopg.connect(server.url().replace("+psycopg", ""), autocommit=True) as connection:
            # For tests that end other sessions, or create contradictions that foreign keys rule out.
            connection.execute(f"grant pg_signal_backend to {OWNER}".encode())
            connection.execute(f"grant set on parameter session_replication_role to {OWNER}".encode())
        migrate.upgrade(server.url(TEMPLATE, OWNER))
        for role, group in ((APPLICATION, REQUESTS), (WORKER, WORKERS)):
            admit(server.url(TEMPLATE, OWNER), server.url(TEMPLATE, role), group)
        # Thousands of tests connect half a dozen times each, and checking the password is two fifths of the work.
        (server.data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 trust\n")
        asyncio.run(_share_compiled_statements(server))
        yield server


async def _share_compiled_statements(server: EmbeddedPostgres) -> None:
    database = Database(get_settings(), url=server.url(TEMPLATE, OWNER))
    async with database.engine.connect():
        compiled_statements.share(database.engine)
    await database.close()


@pytest.fixture(scope="session")
def administration(postgres: EmbeddedPostgres) -> Iterator[psycopg.Connection]:
    """One connection for making and dropping the databases of all tests."""
    with psycopg.connect(postgres.url("postgres").replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("select pg_reload_conf()")
        yield connection


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def database_url(postgres: EmbeddedPostgres, administration: psycopg.Connection) -> Iterator[str]:
    """A new migrated database; its URL as the owner."""
    name = f"test_{uuid4().hex}"
    create = f"create database {name} template {TEMPLATE} strategy file_copy owner {OWNER}"
    administration.execute(create.encode())
    yield postgres.url(name, OWNER)
    administration.execute(f"drop database {name} with (force)".encode())


@pytest.fixture
def settings(postgres: EmbeddedPostgres, database_url: str, valkey: EmbeddedValkey) -> Settings:
    """Settings as in production: separate roles for requests and workers, neither of them the owner."""
    name = database_url.rpartition("/")[2]
    urls = {"database_url": postgres.url(name, APPLICATION), "worker_database_url": postgres.url(name, WORKER)}
    update = {**urls, "redis_url": valkey.url(), "database_pool_timeout_seconds": PATIENCE_SECONDS}
    return get_settings().model_copy(update=update)


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    """A database connection with the role of workers, which sees every tenant."""
    database = Database(settings, url=settings.worker_database_url)
    yield database
    await database.close()


@pytest.fixture
async def owner(settings: Settings, database_url: str) -> AsyncIterator[Database]:
    """A database connection as the owner of the tables, for changes that other roles may not make."""
    owner = Database(settings, url=database_url)
    yield owner
    await owner.close()


@lru_cache(maxsize=1)
def routes() -> FastAPI:
    """The application, created once: creating it takes as long as everything else in a test."""
    return create_app(get_settings())


@pytest.fixture
async def app(settings: Settings, database: Database, owner: Database) -> AsyncIterator[FastAPI]:
    app = routes()
    app.state = AppState(settings)  # without the objects of an earlier test
    # For tests that read every tenant, run workers or break invariants: the app itself sees one tenant at a time.
    app.state.worker_database, app.state.owner_database = database, owner
    # The mock payment provider calls the webhook over HTTP; without a socket, it calls the application directly.
    payments.use_transport(httpx2.ASGITransport(app))
    async with app.router.lifespan_context(app):
        yield app
    payments.use_transport(None)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    """A client that calls the app without a socket: for everything but streams, races and crashes."""
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.fixture
def world(client: httpx2.AsyncClient) -> World:
    """Users, organizations, venues and events, created through the public API."""
    return World(client)
