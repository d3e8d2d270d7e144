"""The password policy, password changes, and upgrades of outdated hashes."""

import asyncio
import unicodedata
from functools import lru_cache
from typing import Any

import httpx2
import pytest
from passlib.hash import argon2
from sqlalchemy import text

from tests.support.world import API, PASSWORD, Person, World, data, refusal
from ticketing.infra.db import Database
from ticketing.infra.security import crypto
from ticketing.modules.iam import service
from ticketing.modules.iam.clients import Client
from ticketing.modules.iam.passwords import COMMON_PASSWORDS, normalize_password

NEW = "staple battery horse"


async def _log_in(client: httpx2.AsyncClient, email: str, password: str) -> httpx2.Response:
    return await client.post(f"{API}/auth/login", json={"email": email, "password": password})


async def _change(person: Person, current: str = PASSWORD, new: str = NEW, **options: Any) -> httpx2.Response:
    return await person.post("/me/password", {"current_password": current, "new_password": new}, **options)


async def _hash(database: Database, person: Person) -> str:
    async with database.transaction() as session:
        stored = await session.scalar(text("select password_hash from users where id = :id"), {"id": person.id})
        return str(stored)


@pytest.fixture
async def ada(world: World) -> Person:
    return await world.person("ada")


@pytest.fixture
def weaker() -> str:
    """A hash with outdated parameters."""
    return str(argon2.using(memory_cost=32, time_cost=1).hash(PASSWORD))


async def test_a_password_change_ends_every_other_session(client: httpx2.AsyncClient, ada: Person) -> None:
    phone = data(await _log_in(client, ada.email, PASSWORD))
    data(await _change(ada))
    data(await ada.get("/me"))
    out = {"Authorization": f"Bearer {phone['access_token']}"}
    refusal(await client.get(f"{API}/me", headers=out), 401)
    refusal(await client.post(f"{API}/auth/refresh", json={"refresh_token": phone["refresh_token"]}), 401)
    data(await client.post(f"{API}/auth/refresh", json={"refresh_token": ada.refresh_token}))
    assert refusal(await _log_in(client, ada.email, PASSWORD), 401)["code"] == "bad_credentials"
    data(await _log_in(client, ada.email, NEW))


async def test_a_password_change_is_published(ada: Person, database: Database) -> None:
    data(await _change(ada))
    async with database.transaction() as session:
        facts = "select payload from outbox where topic = 'user.password_changed' and key = :key"
        [payload] = await session.scalars(text(facts), {"key": ada.id})
    assert NEW not in str(payload)


async def test_a_wrong_current_password_changes_nothing(client: httpx2.AsyncClient, ada: Person) -> None:
    error = refusal(await _change(ada, current="not the password"), 422)
    assert (error["code"], error["field"]) == ("invalid", "current_password")
    data(await _log_in(client, ada.email, PASSWORD))


async def test_a_retried_change_gets_the_first_response(ada: Person) -> None:
    first, again = await _change(ada, key="once"), await _change(ada, key="once")
    assert data(first) is None
    assert (first.content, again.headers["Idempotency-Replayed"]) == (again.content, "true")


async def test_one_of_two_concurrent_changes_wins(client: httpx2.AsyncClient, ada: Person) -> None:
    wishes = [f"{NEW} {n}" for n in range(4)]
    answers = await asyncio.gather(*(_change(ada, new=wish) for wish in wishes))
    [winner] = [wish for wish, answer in zip(wishes, answers, strict=True) if answer.status_code == 200]
    data(await _log_in(client, ada.email, winner))


async def test_a_login_in_progress_does_not_survive_a_password_change(
    client: httpx2.AsyncClient, ada: Person, database: Database
) -> None:
    answers = await asyncio.gather(*(_log_in(client, ada.email, PASSWORD) for _ in range(8)), _change(ada))
    for answer in answers[:-1]:
        if answer.status_code == 200:
            token = data(answer)["refresh_token"]
            refusal(await client.post(f"{API}/auth/refresh", json={"refresh_token": token}), 401)
    async with database.transaction() as session:
        assert await session.scalar(text("select count(*) from sessions where revoked_at is null")) == 1


async def test_a_password_changed_in_the_meantime_opens_no_session(ada: Person, database: Database) -> None:
    checked = await service.check_password(database, ada.email, PASSWORD)
    data(await _change(ada))
    async with database.transaction() as session:
        with pytest.raises(service.BadCredentials):
            await service.log_in(session, Client("", ""), checked, None)


@pytest.mark.parametrize(
    "common",
    [
        "1234567890",
        "Qwertyuiop",
        "PASSWORD123",
        "iloveyou123",
        "\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19\uff10",
    ],
)
async def test_common_passwords_are_refused(client: httpx2.AsyncClient, ada: Person, common: str) -> None:
    body = {"email": "new@example.com", "password": common}
    assert refusal(await client.post(f"{API}/auth/register", json=body), 422)["field"] == "password"
    assert refusal(await _change(ada, new=common), 422)["field"] == "new_password"


def test_the_list_of_common_passwords_is_normalized() -> None:
    assert len(COMMON_PASSWORDS) > 500
    assert all(normalize_password(each).casefold() == each for each in COMMON_PASSWORDS)
    assert all(10 <= len(each) <= 128 for each in COMMON_PASSWORDS)


@pytest.mark.parametrize("password", ["ada.byron.1815@example.com", "ADA.Byron.1815", "ada.byron.1815"])
async def test_the_users_own_address_is_refused_as_a_password(client: httpx2.AsyncClient, password: str) -> None:
    body = {"email": "Ada.Byron.1815@example.com", "password": PASSWORD}
    answer = data(await client.post(f"{API}/auth/register", json=body), 201)
    error = refusal(await client.post(f"{API}/auth/register", json={**body, "password": password}), 422)
    assert (error["code"], error["field"]) == ("invalid", "password")
    ada = Person(client, answer["user"]["id"], body["email"], answer["access_token"], answer["refresh_token"])
    assert refusal(await _change(ada, new=password), 422)["field"] == "new_password"


async def test_a_password_matches_in_every_unicode_composition(client: httpx2.AsyncClient) -> None:
    composed = unicodedata.normalize("NFC", "pässwörd für ada")
    typed = unicodedata.normalize("NFD", composed)
    assert typed != composed
    data(await client.post(f"{API}/auth/register", json={"email": "ada@example.com", "password": typed}), 201)
    data(await _log_in(client, "ada@example.com", composed))


async def test_length_counts_composed_characters(client: httpx2.AsyncClient) -> None:
    body = {"email": "ada@example.com", "password": unicodedata.normalize("NFD", "äöüßé" * 2)[:10]}
    assert refusal(await client.post(f"{API}/auth/register", json=body), 422)["field"] == "password"


async def test_a_login_upgrades_a_weaker_hash(
    client: httpx2.AsyncClient, ada: Person, database: Database, weaker: str
) -> None:
    async with database.transaction() as session:
        await session.execute(text("update users set password_hash = :weaker"), {"weaker": weaker})
    refusal(await _log_in(client, ada.email, "not the password"), 401)
    assert await _hash(database, ada) == weaker
    data(await _log_in(client, ada.email, PASSWORD))
    stronger = await _hash(database, ada)
    assert not crypto.needs_rehash(stronger)
    data(await _log_in(client, ada.email, PASSWORD))
    assert await _hash(database, ada) == stronger


class Counted:
    """Wraps argon2 and counts its calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.verified: list[str] = []
        self.hashed = 0
        verify, hasher = argon2.verify, crypto._hasher()
        counted = self

        class Counting:
            @staticmethod
            def verify(password: str, stored: str) -> bool:
                counted.verified.append(stored)
                return bool(verify(password, stored))

        class Hasher:
            needs_update = staticmethod(hasher.needs_update)

            @staticmethod
            def hash(password: str) -> str:
                counted.hashed += 1
                return str(hasher.hash(password))

        monkeypatch.setattr(crypto, "argon2", Counting)
        monkeypatch.setattr(crypto, "_hasher", lru_cache(Hasher))


def _parameters(stored: str) -> str:
    return stored.rsplit("$", 2)[0]


async def test_wrong_password_and_unknown_address_cost_the_same_hash(
    client: httpx2.AsyncClient, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal(await _log_in(client, "nobody@example.com", PASSWORD), 401)  # computes the cached dummy hash
    counted = Counted(monkeypatch)
    refusal(await _log_in(client, ada.email, "not the password"), 401)
    refusal(await _log_in(client, "nobody@example.com", "not the password"), 401)
    known, unknown = counted.verified
    assert known != unknown
    assert _parameters(known) == _parameters(unknown)
    assert counted.hashed == 0


async def test_registering_a_taken_address_costs_the_same_hash(
    client: httpx2.AsyncClient, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(monkeypatch)
    for email, status in (("free@example.com", 201), (ada.email, 409)):
        body = {"email": email, "password": PASSWORD}
        assert (await client.post(f"{API}/auth/register", json=body)).status_code == status
        assert (counted.hashed, counted.verified) == (1, [])
        counted.hashed = 0
