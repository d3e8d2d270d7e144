"""An operator ends a user's sessions at the command line."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.support import forking
from tests.support.platform import eventually
from tests.support.world import API, PASSWORD, Person, World, data, refusal
from ticketing.infra.config import Settings
from ticketing.infra.db import Database

Command = Callable[[str], tuple[int, str]]


@pytest.fixture
def log_out(settings: Settings, tmp_path: Path) -> Command:
    """Runs `ticketing people log-out …` as an operator does, with the addresses that a deployment has."""

    def run(email: str) -> tuple[int, str]:
        names = {"DATABASE_URL": settings.database_url, "WORKER_DATABASE_URL": settings.worker_database_url}
        done = forking.run("ticketing.cli", "people", "log-out", email, cwd=tmp_path, env=os.environ | names)
        return done.returncode, (done.stdout + done.stderr).strip()

    return run


async def _log_in(person: Person) -> Person:
    body = {"email": person.email, "password": PASSWORD}
    answer = data(await person.client.post(f"{API}/auth/login", json=body))
    return Person(person.client, person.id, person.email, answer["access_token"], answer["refresh_token"])


async def _is_refused(person: Person) -> bool:
    return (await person.get("/me")).status_code == 401


async def test_an_operator_ends_a_users_sessions_and_sees_their_number(
    world: World, database: Database, log_out: Command
) -> None:
    ada, eve = await world.person("ada"), await world.person("eve")
    phone = await _log_in(ada)
    assert await asyncio.to_thread(log_out, ada.email.upper()) == (0, f"{ada.email} is logged out: 2 sessions ended.")
    for log_in in (ada, phone):
        await eventually(lambda log_in=log_in: _is_refused(log_in))  # type: ignore[misc]
        body = {"refresh_token": log_in.refresh_token}
        refusal(await ada.client.post(f"{API}/auth/refresh", json=body), 401)
    data(await eve.get("/me"))
    async with database.transaction() as session:
        ended = text("select key, payload->>'reason' from outbox where topic = 'session.ended'")
        assert [tuple(row) for row in await session.execute(ended)] == [(ada.id, "ended_by_operator")] * 2
    assert await asyncio.to_thread(log_out, ada.email) == (0, f"{ada.email} is logged out: 0 sessions ended.")
    await _log_in(ada)
    assert await asyncio.to_thread(log_out, ada.email) == (0, f"{ada.email} is logged out: 1 session ended.")


async def test_an_unknown_address_is_named(database: Database, log_out: Command) -> None:
    said = await asyncio.to_thread(log_out, "nobody@example.com")
    assert said == (1, "ticketing: no account has the address nobody@example.com")
