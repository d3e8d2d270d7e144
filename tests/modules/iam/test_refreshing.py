"""A refresh token works once; reuse returns its successor again or ends the session."""

import asyncio
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from tests.support.world import API, PASSWORD, Person, World, data, refusal
from ticketing.infra import config
from ticketing.infra.db import Database
from ticketing.infra.security import keyring
from ticketing.modules.iam.clients import Client, network_of
from ticketing.modules.iam.sessions.refresh_tokens import GRACE_SECONDS

PHONE, LAPTOP = {"User-Agent": "a phone"}, {"User-Agent": "a laptop"}


async def _refresh(client: httpx2.AsyncClient, token: str, **headers: Any) -> httpx2.Response:
    return await client.post(f"{API}/auth/refresh", json={"refresh_token": token}, **headers)


async def _log_in(client: httpx2.AsyncClient, person: Person) -> dict[str, Any]:
    body = {"email": person.email, "password": PASSWORD}
    return dict(data(await client.post(f"{API}/auth/login", json=body)))


async def _later(database: Database, seconds: float) -> None:
    """Move every refresh this many seconds into the past."""
    async with database.transaction() as session:
        earlier = "update refresh_tokens set spent_at = spent_at - make_interval(secs => :seconds)"
        await session.execute(text(earlier), {"seconds": seconds})


async def _ends(database: Database) -> list[str]:
    async with database.transaction() as session:
        reasons = "select end_reason from sessions where revoked_at is not null order by revoked_at"
        return list((await session.scalars(text(reasons))).all())


@pytest.fixture
async def ada(world: World) -> Person:
    return await world.person("ada")


async def test_the_same_client_gets_the_same_successor_again(client: httpx2.AsyncClient, ada: Person) -> None:
    first, again = data(await _refresh(client, ada.refresh_token)), data(await _refresh(client, ada.refresh_token))
    assert first["refresh_token"] == again["refresh_token"]
    ada.token = again["access_token"]
    data(await ada.get("/me"))
    data(await _refresh(client, first["refresh_token"]))


async def test_two_concurrent_refreshes_get_the_same_successor(client: httpx2.AsyncClient, ada: Person) -> None:
    token = ada.refresh_token
    for _ in range(3):
        answers = [data(answer) for answer in await asyncio.gather(*(_refresh(client, token) for _ in range(6)))]
        assert len({answer["refresh_token"] for answer in answers}) == 1
        token = answers[0]["refresh_token"]


async def test_late_reuse_of_a_spent_token_ends_the_session(
    client: httpx2.AsyncClient, ada: Person, database: Database
) -> None:
    other = await _log_in(client, ada)
    newest = data(await _refresh(client, ada.refresh_token))["refresh_token"]
    await _later(database, GRACE_SECONDS)
    stolen = refusal(await _refresh(client, ada.refresh_token), 401)
    assert stolen == refusal(await _refresh(client, newest), 401)
    assert stolen["code"] == "unauthenticated"
    assert refusal(await ada.get("/me"), 401)["code"] == "unauthenticated"
    # Another session of the same user is not affected.
    data(await _refresh(client, other["refresh_token"]))
    assert await _ends(database) == ["token_reused"]


async def test_reuse_by_another_client_ends_the_session(
    client: httpx2.AsyncClient, ada: Person, database: Database
) -> None:
    newest = data(await _refresh(client, ada.refresh_token, headers=PHONE))["refresh_token"]
    refusal(await _refresh(client, ada.refresh_token, headers=LAPTOP), 401)
    refusal(await _refresh(client, newest, headers=PHONE), 401)
    assert await _ends(database) == ["token_reused"]


async def test_reuse_after_the_successor_was_spent_ends_the_session(
    client: httpx2.AsyncClient, ada: Person, database: Database
) -> None:
    second = data(await _refresh(client, ada.refresh_token))["refresh_token"]
    third = data(await _refresh(client, second))["refresh_token"]
    refusal(await _refresh(client, ada.refresh_token), 401)
    refusal(await _refresh(client, third), 401)
    assert await _ends(database) == ["token_reused"]


async def test_ending_a_session_covers_a_concurrent_refresh(
    client: httpx2.AsyncClient, ada: Person, database: Database
) -> None:
    for _ in range(5):
        first = (await _log_in(client, ada))["refresh_token"]
        fresh = data(await _refresh(client, first, headers=PHONE))["refresh_token"]
        answers = await asyncio.gather(_refresh(client, first, headers=LAPTOP), _refresh(client, fresh, headers=PHONE))
        for answer in answers:
            if answer.status_code == 200:
                refusal(await _refresh(client, data(answer)["refresh_token"], headers=PHONE), 401)
    assert await _ends(database) == ["token_reused"] * 5


async def test_a_successor_cannot_be_read_from_the_database(
    client: httpx2.AsyncClient, ada: Person, database: Database
) -> None:
    successor = data(await _refresh(client, ada.refresh_token, headers=PHONE))["refresh_token"]
    async with database.transaction() as session:
        stored = str((await session.execute(text("select * from refresh_tokens"))).all())
    for secret in (ada.refresh_token, successor, PHONE["User-Agent"]):
        assert secret not in stored


async def test_a_successor_is_issued_again_after_a_key_rotation(
    client: httpx2.AsyncClient, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = data(await _refresh(client, ada.refresh_token))
    settings = config.get_settings()
    rotated = SecretStr("a newer secret for tests that is long enough," + settings.jwt_secret.get_secret_value())
    monkeypatch.setattr(keyring, "get_settings", lambda: settings.model_copy(update={"jwt_secret": rotated}))
    again = data(await _refresh(client, ada.refresh_token))
    assert again["refresh_token"] == first["refresh_token"]
    data(await _refresh(client, again["refresh_token"]))


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("192.0.2.1", "192.0.2.254", True),
        ("192.0.2.1", "192.0.3.1", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.7", True),
        ("0.0.0.1", "::1", False),
        ("unix", "unix", True),
        ("", "unix", False),
    ],
)
def test_a_client_is_recognised_by_its_network_prefix(one: str, other: str, is_same: bool) -> None:
    assert (network_of(one) == network_of(other)) is is_same
    assert Client("a phone", one).has_fingerprint(Client("a phone", other).fingerprint) is is_same
    assert not Client("a phone", one).has_fingerprint(Client("a laptop", one).fingerprint)
    assert not Client("a phone", one).has_fingerprint(None)
