"""From the request to the mailbox, and back by the link: over the API, through the consumers, by a real mail server."""

import asyncio
import re
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI
from redis.asyncio import Redis
from sqlalchemy import text

from tests.modules.notifications.post_office import Box, link_in, secret_in, words_of
from tests.support.drain import drain, drain_group
from tests.support.world import API, PASSWORD, Person, World, data, refusal
from ticketing.infra import mail
from ticketing.infra.config import Settings
from ticketing.modules.iam.mail_tokens import service as letters
from ticketing.workers.consumers import groups

NEW_PASSWORD = "staple battery horse"


class Killed(BaseException):
    """The process is gone."""


class OfficeThatDies:
    """Sends the letter and is killed before anybody can note it."""

    def __init__(self, office: mail.Mailer) -> None:
        self._office = office

    async def send(self, letter: mail.Letter, letter_id: UUID) -> None:
        await self._office.send(letter, letter_id)
        raise Killed


async def _ask_for_reset(client: httpx2.AsyncClient, email: str) -> httpx2.Response:
    return await client.post(f"{API}/auth/password-reset", json={"email": email})


async def _reset(client: httpx2.AsyncClient, secret: str, password: str = NEW_PASSWORD) -> httpx2.Response:
    return await client.post(f"{API}/auth/password-reset/confirm", json={"token": secret, "password": password})


async def _log_in(client: httpx2.AsyncClient, person: Person, password: str) -> httpx2.Response:
    return await client.post(f"{API}/auth/login", json={"email": person.email, "password": password})


async def _let_a_minute_pass(app: FastAPI) -> None:
    async with app.state.worker_database.transaction() as session:
        await session.execute(text("update mail_tokens set created_at = created_at - interval '61 seconds'"))


async def _mailed(app: FastAPI, client: httpx2.AsyncClient, box: Box, person: Person) -> str:
    """The secret of a letter with a new reset link."""
    await _let_a_minute_pass(app)
    assert (await _ask_for_reset(client, person.email)).status_code == 202
    await drain(app)
    return secret_in(box.to(person.email)[-1])


async def test_whoever_registers_gets_a_letter_and_its_link_verifies(
    app: FastAPI, client: httpx2.AsyncClient, world: World, box: Box
) -> None:
    ada = await world.person("ada")
    assert data(await ada.get("/me"))["email_verified"] is False
    await drain(app)
    [letter] = box.to(ada.email)
    assert letter["From"] == "Tickets <post@tickets.test>"
    assert letter["Subject"] == "Please confirm your e-mail address"
    assert re.fullmatch(r"http://127.0.0.1:8000/account/verify#[A-Za-z0-9_-]{64}", link_in(letter))
    assert link_in(letter) in words_of(letter, "html")
    answer = await client.post(f"{API}/auth/verify-email", json={"token": secret_in(letter)})
    assert answer.json()["message"] == "Your e-mail address is verified."
    assert data(await ada.get("/me"))["email_verified"] is True


async def test_a_link_that_is_pressed_twice_verifies_once_and_says_so_twice(
    app: FastAPI, client: httpx2.AsyncClient, world: World, box: Box
) -> None:
    ada = await world.person("ada")
    await drain(app)
    body = {"token": secret_in(box.to(ada.email)[0])}
    answers = await asyncio.gather(*(client.post(f"{API}/auth/verify-email", json=body) for _ in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5
    async with app.state.worker_database.transaction() as session:
        assert await session.scalar(text("select count(*) from outbox where topic = 'email.verified'")) == 1
        await session.execute(text("delete from inbox where consumer = 'notifications'"))
        await session.execute(text("delete from outbox_cursor where reader = 'notifications'"))
    await drain(app)
    assert len(box.to(ada.email)) == 1, "a link that was used is not mailed again"


async def test_the_letter_comes_again_when_asked_for_but_not_twice_a_minute(
    app: FastAPI, client: httpx2.AsyncClient, world: World, box: Box
) -> None:
    ada = await world.person("ada")
    hasty = await ada.post("/me/verify-email")
    assert refusal(hasty, 429)["code"] == "rate_limited"
    assert hasty.headers["Retry-After"] == "60"
    await _let_a_minute_pass(app)
    async with app.state.worker_database.transaction() as session:
        await letters.request_verification_again(session, UUID(ada.id))
        # It waits until the first has committed, so that it can see its row.
        second = asyncio.create_task(ada.post("/me/verify-email"))
        await asyncio.wait([second], timeout=0.5)
        assert not second.done()
    assert refusal(await second, 429)["code"] == "rate_limited"
    await drain(app)
    first, second = box.to(ada.email)
    assert link_in(first) != link_in(second)
    data(await client.post(f"{API}/auth/verify-email", json={"token": secret_in(first)}))
    assert refusal(await ada.post("/me/verify-email"), 409)["code"] == "already_verified"


async def test_a_forgotten_password_is_replaced_by_letter_and_every_log_in_ends(
    app: FastAPI, client: httpx2.AsyncClient, world: World, box: Box
) -> None:
    ada = await world.person("ada")
    secret = await _mailed(app, client, box, ada)
    assert link_in(box.to(ada.email)[-1]).startswith("http://127.0.0.1:8000/account/reset#")
    data(await _reset(client, secret))
    refusal(await _log_in(client, ada, PASSWORD), 401)
    data(await _log_in(client, ada, NEW_PASSWORD))
    refusal(await client.post(f"{API}/auth/refresh", json={"refresh_token": ada.refresh_token}), 401)
    await drain(app)
    assert box.to(ada.email)[-1]["Subject"] == "Your password was changed"
    assert data(await (await _person_of(client, ada)).get("/me"))["email_verified"] is True, "the letter was read"


async def _person_of(client: httpx2.AsyncClient, person: Person) -> Person:
    answer = data(await _log_in(client, person, NEW_PASSWORD))
    return Person(client, person.id, person.email, answer["access_token"], answer["refresh_token"])


async def test_a_reset_link_is_good_once_also_when_ten_use_it_at_once(
    app: FastAPI, client: httpx2.AsyncClient, world: World, box: Box
) -> None:
    ada = await world.person("ada")
    secret = await _mailed(app, client, box, ada)
    passwords = [f"{NEW_PASSWORD} {n}" for n in range(10)]
    answers = await asyncio.gather(*(_reset(client, secret, password) for password in passwords))
    assert sorted(answer.status_code for answer in answers) == [200] + [422] * 9
    assert {refusal(answer, 422)["code"] for answer in answers if answer.status_code == 422} == {"link_invalid"}
    opened = [(await _log_in(client, ada, password)).status_code for password in passwords]
    assert sorted(opened) == [200] + [401] * 9
    assert [a.status_code for a in answers].index(200) == opened.index(200)


async def test_a_newer_reset_makes_the_older_one_void(
    app: FastAPI, client: httpx2.AsyncClient, world: World, box: Box
) -> None:
    ada = await world.person("ada")
    older, newer = await _mailed(app, client, box, ada), await _mailed(app, client, box, ada)
    error = refusal(await _reset(client, older), 422)
    assert (error["code"], error["field"]) == ("link_invalid", "token")
    data(await _reset(client, newer))


async def test_whoever_changes_the_password_otherwise_voids_the_link(
    app: FastAPI, client: httpx2.AsyncClient, world: World, box: Box
) -> None:
    ada = await world.person("ada")
    secret = await _mailed(app, client, box, ada)
    data(await ada.post("/me/password", {"current_password": PASSWORD, "new_password": NEW_PASSWORD}))
    assert refusal(await _reset(client, secret, "yet another password"), 422)["code"] == "link_invalid"


async def test_nobody_learns_from_a_reset_who_has_an_account(
    app: FastAPI, client: httpx2.AsyncClient, world: World, box: Box
) -> None:
    """The same answer; and the same statements in the same order, since all that differs is left to the consumer."""
    ada = await world.person("ada")
    await drain(app)
    answers, written = [], []
    for email in (ada.email, "nobody@example.com"):
        answers.append(await _ask_for_reset(client, email))
        async with app.state.worker_database.transaction() as session:
            query = text("select user_id, purpose from mail_tokens order by id desc limit 1")
            written.append(tuple((await session.execute(query)).one()))
    assert answers[0].status_code == answers[1].status_code == 202
    assert answers[0].json() == answers[1].json()
    assert written[0] == written[1] == (None, "reset_password")
    await drain(app)
    assert len(box.letters) == 2
    async with app.state.worker_database.transaction() as session:
        kept = await session.scalars(text("select email from mail_tokens where purpose = 'reset_password'"))
        assert kept.all() == [ada.email], "the address of a stranger is not kept"


async def test_one_mailbox_gets_one_reset_letter_a_minute(
    app: FastAPI, client: httpx2.AsyncClient, world: World, box: Box
) -> None:
    ada = await world.person("ada")
    await drain(app)
    for email in (ada.email, ada.email.upper(), ada.email):
        assert (await _ask_for_reset(client, email)).status_code == 202
    await drain(app)
    [_, letter] = box.to(ada.email)
    data(await _reset(client, secret_in(letter)))


async def test_a_letter_is_sent_to_the_address_of_the_account_however_it_was_typed(
    app: FastAPI, client: httpx2.AsyncClient, world: World, box: Box
) -> None:
    ada = await world.person("ada")
    await drain(app)
    await _ask_for_reset(client, ada.email.upper())
    await drain(app)
    assert [e.rcpt_tos for e in box.envelopes] == [[ada.email], [ada.email]]


async def test_a_crash_after_sending_sends_the_same_letter_again_and_its_link_works_once(
    app: FastAPI, client: httpx2.AsyncClient, world: World, box: Box
) -> None:
    ada = await world.person("ada")
    await drain(app)
    await _ask_for_reset(client, ada.email)
    dying = OfficeThatDies(mail.connect(app.state.get(Settings)))
    [group] = [group for group in groups(app.state.get(Redis), dying) if group.name == "notifications"]
    for _ in range(2):
        with pytest.raises(Killed):
            await drain_group(app.state.worker_database, group)
    await drain(app)
    sent = box.to(ada.email)[1:]
    assert len(sent) == 3
    assert len({letter["Message-ID"] for letter in sent}) == 1
    assert len({link_in(letter) for letter in sent}) == 1
    data(await _reset(client, secret_in(sent[0])))
    assert refusal(await _reset(client, secret_in(sent[-1])), 422)["code"] == "link_invalid"


@pytest.mark.parametrize("seconds", [0, 1])
async def test_a_link_works_until_its_time_is_over(
    app: FastAPI, client: httpx2.AsyncClient, world: World, box: Box, seconds: int
) -> None:
    ada = await world.person("ada")
    secret = await _mailed(app, client, box, ada)
    async with app.state.worker_database.transaction() as session:
        query = "select distinct purpose, extract(epoch from expires_at - created_at) > 86000 from mail_tokens"
        assert dict((await session.execute(text(query))).all()) == {"verify_email": True, "reset_password": False}
        end = text("update mail_tokens set expires_at = now() + :s * interval '1 minute'")
        await session.execute(end, {"s": seconds})
    answer = await _reset(client, secret)
    assert answer.status_code == (200 if seconds else 422)


async def test_neither_the_log_of_facts_nor_the_tables_nor_a_line_hold_a_link(
    app: FastAPI,
    client: httpx2.AsyncClient,
    world: World,
    box: Box,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level("DEBUG")
    ada = await world.person("ada")
    secret = await _mailed(app, client, box, ada)
    async with app.state.worker_database.transaction() as session:
        written = [
            str(row)
            for table in ("outbox", "mail_tokens", "inbox", "idempotency_keys", "dead_letters")
            for row in (await session.execute(text(f"select * from {table}"))).all()
        ]
        facts = (await session.scalars(text("select payload::text from outbox"))).all()
    # Without what the mail server says, which is the test's own.
    logged = [record.getMessage() for record in caplog.records if record.name != "mail.log"]
    printed = "\n".join([*capsys.readouterr(), *logged])
    assert "letter_sent" in printed
    for part in (secret, secret[22:], secret[:22]):
        assert part not in printed
        assert not any(part in row for row in written)
    assert ada.email not in printed
    assert not any(ada.email in fact for fact in facts)
