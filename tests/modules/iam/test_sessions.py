"""Sessions can be listed and ended; every process refuses an ended one."""

import asyncio
import time
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from sqlalchemy import text

from tests.support.machine import stretched
from tests.support.platform import Platform, eventually
from tests.support.world import API, PASSWORD, Person, World, data, refusal
from ticketing.infra.config import ACCESS_TOKEN_SECONDS_MAX, Settings
from ticketing.infra.db import Database
from ticketing.infra.security import access_tokens
from ticketing.infra.security.revoked_sessions import RevokedSessions
from ticketing.modules.iam import EndReason, clean_sessions, end_sessions
from ticketing.modules.iam.sessions import revocation_watcher
from ticketing.modules.iam.sessions.revocation_watcher import RevocationWatcher
from ticketing.modules.iam.sessions.service import SESSIONS_MAX
from ticketing.workers import scheduler


async def _log_in(person: Person, agent: bytes = b"a phone") -> Person:
    """Open another session of the same user."""
    body = {"email": person.email, "password": PASSWORD}
    answer = data(await person.client.post(f"{API}/auth/login", json=body, headers={b"User-Agent": agent}))
    return Person(person.client, person.id, person.email, answer["access_token"], answer["refresh_token"])


def _id(person: Person) -> str:
    return str(access_tokens.read_token(person.token).session_id)


async def _sessions(person: Person) -> list[dict[str, Any]]:
    return list(data(await person.get("/me/sessions")))


async def _is_out(person: Person) -> bool:
    body = {"refresh_token": person.refresh_token}
    answers = await person.get("/me"), await person.client.post(f"{API}/auth/refresh", json=body)
    statuses = {answer.status_code for answer in answers}
    assert statuses in ({200}, {401}), "either both tokens of a log-in are good, or neither is"
    return statuses == {401}


async def _facts(database: Database) -> list[tuple[str, str, str]]:
    async with database.transaction() as session:
        ended = "select key, payload->>'session_id', payload->>'reason' from outbox where topic = 'session.ended'"
        return [(key, ended_id, reason) for key, ended_id, reason in await session.execute(text(ended))]


async def _knows(ended: RevokedSessions, person: Person) -> bool:
    return UUID(_id(person)) in ended


@pytest.fixture
async def ada(world: World) -> Person:
    return await world.person("ada")


async def test_own_sessions_are_listed_most_recently_used_first(ada: Person) -> None:
    phone = await _log_in(ada, b"a\x80 phone" + b"x" * 300)
    listed = await _sessions(ada)
    assert [each["id"] for each in listed] == [_id(phone), _id(ada)]
    assert [each["is_current"] for each in listed] == [False, True]
    assert listed[0]["user_agent"] == ("a phone" + "x" * 300)[:200]
    assert listed[0]["address"] == "127.0.0.1"
    data(await ada.client.post(f"{API}/auth/refresh", json={"refresh_token": ada.refresh_token}))
    assert [each["id"] for each in await _sessions(phone)] == [_id(ada), _id(phone)]


async def test_ending_one_session_keeps_the_others(ada: Person, database: Database) -> None:
    phone, laptop = await _log_in(ada), await _log_in(ada)
    data(await ada.delete(f"/me/sessions/{_id(phone)}"))
    assert await _is_out(phone)
    assert not await _is_out(laptop)
    assert await _facts(database) == [(ada.id, _id(phone), "ended_by_owner")]
    assert [each["id"] for each in await _sessions(ada)] == [_id(laptop), _id(ada)]


async def test_another_users_session_looks_like_an_unknown_one(ada: Person, world: World) -> None:
    eve = await world.person("eve")
    refusals = [refusal(await eve.delete(f"/me/sessions/{each}"), 404) for each in (_id(ada), uuid4())]
    assert refusals[0] == refusals[1]
    assert not await _is_out(ada)
    data(await ada.delete(f"/me/sessions/{_id(await _log_in(ada))}"))


async def test_an_ended_session_cannot_be_ended_again(ada: Person) -> None:
    phone = await _log_in(ada)
    data(await ada.delete(f"/me/sessions/{_id(phone)}"))
    assert refusal(await ada.delete(f"/me/sessions/{_id(phone)}"), 404)["code"] == "not_found"


async def test_logout_everywhere_includes_this_session(ada: Person, world: World, database: Database) -> None:
    phone, eve = await _log_in(ada), await world.person("eve")
    data(await phone.delete("/me/sessions"))
    assert await _is_out(ada)
    assert await _is_out(phone)
    assert not await _is_out(eve)
    assert {reason for _, _, reason in await _facts(database)} == {"log_out_everywhere"}


async def test_logout_everywhere_else_keeps_this_session(ada: Person) -> None:
    phone = await _log_in(ada)
    data(await phone.delete("/me/sessions?keep_current=true"))
    assert await _is_out(ada)
    assert not await _is_out(phone)


async def test_logout_revokes_the_access_token(ada: Person, database: Database) -> None:
    data(await ada.client.post(f"{API}/auth/logout", json={"refresh_token": ada.refresh_token}))
    assert await _is_out(ada)
    assert await _facts(database) == [(ada.id, _id(ada), "log_out")]


async def test_an_ended_session_gets_no_stored_response(ada: Person) -> None:
    body = {"name": "Hall", "slug": f"hall-{uuid4().hex[:12]}"}
    data(await ada.post("/orgs", body, key="once"), 201)
    data(await ada.post("/orgs", body, key="once"), 201)
    data(await ada.delete("/me/sessions"))
    assert refusal(await ada.post("/orgs", body, key="once"), 401)["code"] == "unauthenticated"


async def test_beyond_the_limit_the_least_recently_used_session_ends(ada: Person, database: Database) -> None:
    others = [await _log_in(ada) for _ in range(SESSIONS_MAX)]
    assert await _is_out(ada)
    listed = await _sessions(others[0])
    assert [each["id"] for each in listed] == [_id(each) for each in reversed(others)]
    assert await _facts(database) == [(ada.id, _id(ada), "too_many")]


async def test_concurrent_logins_do_not_exceed_the_limit(ada: Person, database: Database) -> None:
    for _ in range(SESSIONS_MAX - 2):
        await _log_in(ada)
    await asyncio.gather(*(_log_in(ada) for _ in range(6)))
    async with database.transaction() as session:
        assert await session.scalar(text("select count(*) from sessions where revoked_at is null")) == SESSIONS_MAX


async def test_a_rolled_back_transaction_ends_no_session(ada: Person, database: Database) -> None:
    async def end_and_fail() -> None:
        async with database.transaction() as session:
            await end_sessions(session, UUID(ada.id), reason=EndReason.LOG_OUT)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await end_and_fail()
    assert not await _is_out(ada)


async def test_another_process_knows_a_revocation_within_two_seconds(
    ada: Person, database: Database, settings: Settings
) -> None:
    other = RevokedSessions()
    elsewhere = Database(settings)
    watcher, stop = RevocationWatcher(elsewhere, other), asyncio.Event()
    await watcher.poll()
    running = asyncio.create_task(watcher.run(stop))
    data(await ada.delete("/me/sessions"))
    assert revocation_watcher.POLL_SECONDS <= 1, "and its query takes milliseconds"
    await eventually(lambda: _knows(other, ada))
    stop.set()
    await running
    await elsewhere.close()


async def test_two_seconds_after_its_end_every_process_refuses_the_session(platform: Platform) -> None:
    fresh_connections = httpx2.Limits(max_keepalive_connections=0)
    async with httpx2.AsyncClient(base_url=platform.url, limits=fresh_connections, timeout=30) as client:
        ada = await World(client).person("ada")
        data(await ada.delete("/me/sessions"))
        await asyncio.sleep(stretched(2))
        answers = [await ada.get("/me") for _ in range(40)]
    assert {answer.status_code for answer in answers} == {401}


async def test_a_new_process_knows_earlier_revocations(ada: Person, database: Database) -> None:
    data(await ada.delete("/me/sessions"))
    async with database.transaction() as session:
        await session.execute(
            text("update sessions set revoked_at = now() - make_interval(secs => :ago)"),
            {"ago": ACCESS_TOKEN_SECONDS_MAX - 60},
        )
    known = RevokedSessions()
    await RevocationWatcher(database, known).poll()
    assert UUID(_id(ada)) in known


async def test_revocations_during_an_outage_are_read_afterwards(
    ada: Person, database: Database, settings: Settings
) -> None:
    nowhere = Database(settings.model_copy(update={"database_url": "postgresql+psycopg://nobody@127.0.0.1:9/none"}))
    known = RevokedSessions()
    watcher = RevocationWatcher(nowhere, known)
    await watcher.poll()
    data(await ada.delete("/me/sessions"))
    async with database.transaction() as session:
        await session.execute(text("update sessions set revoked_at = now() - interval '10 minutes'"))
    watcher._database = database
    await watcher.poll()
    assert UUID(_id(ada)) in known
    await nowhere.close()


def test_revocations_expire_with_their_access_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    known, first, second, now = RevokedSessions(), uuid4(), uuid4(), time.monotonic()
    known.add([first])
    monkeypatch.setattr(time, "monotonic", lambda: now + ACCESS_TOKEN_SECONDS_MAX - 1)
    known.add([first, second])
    assert first in known
    monkeypatch.setattr(time, "monotonic", lambda: now + ACCESS_TOKEN_SECONDS_MAX + 1)
    known.add([])
    assert (first in known, second in known, len(known)) == (False, True, 1)


async def test_checking_a_revocation_needs_no_database(ada: Person, database: Database) -> None:
    data(await ada.delete("/me/sessions"))
    started = time.process_time()
    for _ in range(100):
        with pytest.raises(access_tokens.SessionRevoked):
            access_tokens.check_token(ada.token)
    assert time.process_time() - started < 0.5


async def test_cleaning_deletes_ended_sessions_and_keeps_open_ones(ada: Person, database: Database) -> None:
    old, recent, running = await _log_in(ada), await _log_in(ada), await _log_in(ada)
    data(await ada.delete(f"/me/sessions/{_id(old)}"))
    data(await ada.delete(f"/me/sessions/{_id(recent)}"))
    async with database.transaction() as session:
        day_old = "update sessions set revoked_at = revoked_at - interval '25 hours' where id = :id"
        await session.execute(text(day_old), {"id": _id(old)})
        run_out = "update sessions set expires_at = now() - interval '1 second' where id = :id"
        await session.execute(text(run_out), {"id": _id(ada)})
    assert scheduler.JOBS["clean_sessions"]
    async with database.transaction() as session:
        assert await clean_sessions(session) == 2
        assert await clean_sessions(session) == 0
        kept = {str(each) for each in await session.scalars(text("select id from sessions"))}
    assert kept == {_id(recent), _id(running)}


async def test_an_expired_session_is_not_listed(ada: Person, database: Database) -> None:
    phone = await _log_in(ada)
    async with database.transaction() as session:
        run_out = "update sessions set expires_at = now() - interval '1 second' where id = :id"
        await session.execute(text(run_out), {"id": _id(phone)})
    assert [each["id"] for each in await _sessions(ada)] == [_id(ada)]


@pytest.mark.parametrize("path", ["/me/sessions/7", "/me/sessions?keep_current=perhaps"])
async def test_an_invalid_request_ends_nothing(ada: Person, path: str) -> None:
    refusal(await ada.delete(path), 422)
    assert not await _is_out(ada)


async def test_listing_and_ending_sessions_requires_a_login(client: httpx2.AsyncClient) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("DELETE", f"/{uuid4()}")):
        assert refusal(await client.request(method, f"{API}/me/sessions{path}"), 401)["code"] == "unauthenticated"
