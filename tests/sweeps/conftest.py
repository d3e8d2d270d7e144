"""Module-scoped fixtures: a sweep sends thousands of requests about one tenant, and changes nothing of it."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI

from tests.support.time_limits import PATIENCE_SECONDS
from tests.support.world import World
from tests.sweeps.full_tenant import FullTenant, create_full_tenant
from ticketing.infra.config import Settings, get_settings
from ticketing.infra.db import Database
from ticketing.infra.embedded.postgres import APPLICATION, WORKER, EmbeddedPostgres
from ticketing.infra.embedded.valkey import EmbeddedValkey
from ticketing.main import create_app
from ticketing.modules import payments

TEMPLATE = "template_ticketing"


@pytest.fixture(scope="module")
def database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A database for this module, created from the migrated template."""
    name = f"sweep_{uuid4().hex}"
    postgres.create_database(name, TEMPLATE)
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture(scope="module")
def settings(postgres: EmbeddedPostgres, database_url: str, valkey: EmbeddedValkey) -> Settings:
    name = database_url.rpartition("/")[2]
    urls = {"database_url": postgres.url(name, APPLICATION), "worker_database_url": postgres.url(name, WORKER)}
    patience = {"database_pool_timeout_seconds": PATIENCE_SECONDS}
    return get_settings().model_copy(update={**urls, **patience, "redis_url": valkey.url()})


@pytest.fixture(scope="module")
async def database(settings: Settings) -> AsyncIterator[Database]:
    database = Database(settings, url=settings.worker_database_url)
    yield database
    await database.close()


@pytest.fixture(scope="module")
async def owner(settings: Settings, database_url: str) -> AsyncIterator[Database]:
    owner = Database(settings, url=database_url)
    yield owner
    await owner.close()


@pytest.fixture(scope="module")
async def app(settings: Settings, database: Database, owner: Database) -> AsyncIterator[FastAPI]:
    app = create_app(settings)
    app.state.worker_database, app.state.owner_database = database, owner
    payments.use_transport(httpx2.ASGITransport(app))
    async with app.router.lifespan_context(app):
        yield app
    payments.use_transport(None)


@pytest.fixture(scope="module")
async def client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.fixture(scope="module")
def world(client: httpx2.AsyncClient) -> World:
    return World(client)


@pytest.fixture(scope="module")
async def tenant(app: FastAPI, world: World) -> FullTenant:
    """An organization with one resource of every kind."""
    return await create_full_tenant(app, world, "home")
