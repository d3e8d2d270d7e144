"""Real servers for every test: one Postgres and one Valkey a session, a fresh migrated database a test."""

import base64
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

# Before anything of ours reads the environment.
os.environ |= {
    "JWT_SECRET": "a secret for tests that is long enough",
    "MOCK_WEBHOOK_SECRET": "whsec for tests",
    "TICKET_SIGNING_KEY": base64.b64encode(b"k" * 32).decode(),
    "LOG_FORMAT": "json",
    "ARGON2_MEMORY_KIB": "64",
    "LOG_LEVEL": "warning",
    # Tests ask far more often than people do; those of the limits themselves switch them on.
    "RATE_LIMITS": "off",
}

import httpx2
import pytest
from fastapi import FastAPI

from tests.support import time_limits
from tests.support.distribution import (  # noqa: F401 (a hook is found by its name)
    pytest_collection_finish,
    pytest_collection_modifyitems,
    pytest_runtest_teardown,
    pytest_xdist_make_scheduler,
)
from tests.support.kafka_broker import kafka_broker  # noqa: F401 (a fixture is found by its name)
from tests.support.platform import platform  # noqa: F401
from tests.support.time_limits import PATIENCE_SECONDS, product_time_limits  # noqa: F401
from tests.support.world import World
from ticketing.infra.app_state import AppState
from ticketing.infra.config import Settings, get_settings
from ticketing.infra.db import Database, migrate
from ticketing.infra.db.roles import admit
from ticketing.infra.db.schema import REQUESTS, WORKERS
from ticketing.infra.embedded.postgres import APPLICATION, WORKER, EmbeddedPostgres
from ticketing.infra.embedded.valkey import EmbeddedValkey
from ticketing.main import create_app
from ticketing.modules import payments

time_limits.lengthen()

TEMPLATE = "template_ticketing"
# Tests ask whether commits are isolated, not whether they survive a power cut; and each has a database of its own,
# whose making should cost no more than the test: "clone" has the kernel copy the files of the template.
FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "file_copy_method": "clone",
    # Each test connects half a dozen times; four thousand rounds of hashing take longer than a query.
    "scram_iterations": "1",
    # Who was cancelled while connecting may leave a log-in half done; a database is not dropped before it has ended.
    "authentication_timeout": "10",
    "max_connections": "300",
}
#: A file system in memory, on Linux; there a database is made in a third of the time, if there is room for some.
MEMORY = Path("/dev/shm")  # noqa: S108 (who uses it makes a folder of its own there, and removes it)
ROOM_BYTES = 4 * 1024**3


@pytest.fixture(scope="session")
def quick_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """In memory when there is much of it, else where all temporary files are."""
    if not (os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM_BYTES):
        yield tmp_path_factory.mktemp("postgres")
        return
    with TemporaryDirectory(prefix="ticketing-tests-", dir=MEMORY, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres(quick_folder: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(quick_folder / "postgres", FAST) as server:
        server.create_database(TEMPLATE)
        migrate.upgrade(server.url(TEMPLATE))
        for role, group in ((APPLICATION, REQUESTS), (WORKER, WORKERS)):
            admit(server.url(TEMPLATE), server.url(TEMPLATE, role), group)
        yield server


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A database of this test's own, as the migrations made it; its address as the owner."""
    name = f"test_{uuid4().hex}"
    postgres.create_database(name, TEMPLATE)
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture
def settings(postgres: EmbeddedPostgres, database_url: str, valkey: EmbeddedValkey) -> Settings:
    """What the running system has: a role for requests and one for workers, and neither is the owner."""
    name = database_url.rpartition("/")[2]
    urls = {"database_url": postgres.url(name, APPLICATION), "worker_database_url": postgres.url(name, WORKER)}
    update = {**urls, "redis_url": valkey.url(), "database_pool_timeout_seconds": PATIENCE_SECONDS}
    return get_settings().model_copy(update=update)


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    """What a worker has: a database without the app around it, and all tenants in it."""
    database = Database(settings, url=settings.worker_database_url)
    yield database
    await database.close()


@pytest.fixture
async def owner(settings: Settings, database_url: str) -> AsyncIterator[Database]:
    """For what only the owner of the tables can do, such as breaking them."""
    owner = Database(settings, url=database_url)
    yield owner
    await owner.close()


@lru_cache(maxsize=1)
def routes() -> FastAPI:
    """The application, made once: that takes as long as all else that a test needs."""
    return create_app(get_settings())


@pytest.fixture
async def app(settings: Settings, database: Database, owner: Database) -> AsyncIterator[FastAPI]:
    app = routes()
    app.state = AppState(settings)  # without the objects of an earlier test
    # For those who look at the truth, do what workers do, or break things: the app itself sees one tenant at a time.
    app.state.worker_database, app.state.owner_database = database, owner
    # The mock provider calls our webhook over HTTP; here there is no socket, so it reaches the application itself.
    payments.use_transport(httpx2.ASGITransport(app))
    async with app.router.lifespan_context(app):
        yield app
    payments.use_transport(None)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    """The app without a socket between: for everything but streams, races and crashes."""
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.fixture
def world(client: httpx2.AsyncClient) -> World:
    """People, organizations, venues and events, made through the public API."""
    return World(client)
