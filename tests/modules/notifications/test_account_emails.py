"""Emails about accounts, from the API through the consumers to an SMTP server, and back by the link."""

import asyncio
import re
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI
from redis.asyncio import Redis
from sqlalchemy import text

from tests.modules.notifications.smtp_server import SmtpServer, body_of, link_in, token_in
from tests.support.drain import drain, drain_group
from tests.support.world import API, PASSWORD, Person, World, data, refusal
from ticketing.infra import mail
from ticketing.infra.config import Settings
from ticketing.modules.iam.mail_tokens import service as mail_tokens
from ticketing.workers.consumers import groups

NEW_PASSWORD = "staple battery horse"


class Killed(BaseException):
    """The consumer process was killed."""


class MailerKilledAfterSending:
    """Sends an email and is killed before the consumer can record it."""

    def __init__(self, mailer: mail.Mailer) -> None:
        self._mailer = mailer

    async def send(self, email: mail.OutgoingEmail, email_id: UUID) -> None:
        await self._mailer.send(email, email_id)
        raise Killed


async def _request_reset(client: httpx2.AsyncClient, email: str) -> httpx2.Response:
    return await client.post(f"{API}/auth/password-reset", json={"email": email})


async def _reset(client: httpx2.AsyncClient, token: str, password: str = NEW_PASSWORD) -> httpx2.Response:
    return await client.post(f"{API}/auth/password-reset/confirm", json={"token": token, "password": password})


async def _log_in(client: httpx2.AsyncClient, person: Person, password: str) -> httpx2.Response:
    return await client.post(f"{API}/auth/login", json={"email": person.email, "password": password})


async def _let_a_minute_pass(app: FastAPI) -> None:
    async with app.state.worker_database.transaction() as session:
        await session.execute(text("update mail_tokens set created_at = created_at - interval '61 seconds'"))


async def _mailed(app: FastAPI, client: httpx2.AsyncClient, smtp: SmtpServer, person: Person) -> str:
    """Request a reset and return the token of the emailed link."""
    await _let_a_minute_pass(app)
    assert (await _request_reset(client, person.email)).status_code == 202
    await drain(app)
    return token_in(smtp.to(person.email)[-1])


async def test_registering_sends_an_email_whose_link_verifies_the_address(
    app: FastAPI, client: httpx2.AsyncClient, world: World, smtp: SmtpServer
) -> None:
    ada = await world.person("ada")
    assert data(await ada.get("/me"))["email_verified"] is False
    await drain(app)
    [email] = smtp.to(ada.email)
    assert email["From"] == "Tickets <post@tickets.test>"
    assert email["Subject"] == "Please confirm your e-mail address"
    assert re.fullmatch(r"http://127.0.0.1:8000/account/verify#[A-Za-z0-9_-]{64}", link_in(email))
    assert link_in(email) in body_of(email, "html")
    answer = await client.post(f"{API}/auth/verify-email", json={"token": token_in(email)})
    assert answer.json()["message"] == "Your e-mail address is verified."
    assert data(await ada.get("/me"))["email_verified"] is True


async def test_a_link_that_is_used_twice_verifies_once(
    app: FastAPI, client: httpx2.AsyncClient, world: World, smtp: SmtpServer
) -> None:
    ada = await world.person("ada")
    await drain(app)
    body = {"token": token_in(smtp.to(ada.email)[0])}
    answers = await asyncio.gather(*(client.post(f"{API}/auth/verify-email", json=body) for _ in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5
    async with app.state.worker_database.transaction() as session:
        assert await session.scalar(text("select count(*) from outbox where topic = 'email.verified'")) == 1
        await session.execute(text("delete from inbox where consumer = 'notifications'"))
        await session.execute(text("delete from outbox_cursor where reader = 'notifications'"))
    await drain(app)
    assert len(smtp.to(ada.email)) == 1, "a used link is not sent again"


async def test_the_verification_email_can_be_requested_once_a_minute(
    app: FastAPI, client: httpx2.AsyncClient, world: World, smtp: SmtpServer
) -> None:
    ada = await world.person("ada")
    hasty = await ada.post("/me/verify-email")
    assert refusal(hasty, 429)["code"] == "rate_limited"
    assert hasty.headers["Retry-After"] == "60"
    await _let_a_minute_pass(app)
    async with app.state.worker_database.transaction() as session:
        await mail_tokens.request_verification_again(session, UUID(ada.id))
        # The second request waits until the first has committed, so that it sees the row of the first.
        second = asyncio.create_task(ada.post("/me/verify-email"))
        await asyncio.wait([second], timeout=0.5)
        assert not second.done()
    assert refusal(await second, 429)["code"] == "rate_limited"
    await drain(app)
    first, second = smtp.to(ada.email)
    assert link_in(first) != link_in(second)
    data(await client.post(f"{API}/auth/verify-email", json={"token": token_in(first)}))
    assert refusal(await ada.post("/me/verify-email"), 409)["code"] == "already_verified"


async def test_a_password_reset_by_email_ends_every_session(
    app: FastAPI, client: httpx2.AsyncClient, world: World, smtp: SmtpServer
) -> None:
    ada = await world.person("ada")
    token = await _mailed(app, client, smtp, ada)
    assert link_in(smtp.to(ada.email)[-1]).startswith("http://127.0.0.1:8000/account/reset#")
    data(await _reset(client, token))
    refusal(await _log_in(client, ada, PASSWORD), 401)
    data(await _log_in(client, ada, NEW_PASSWORD))
    refusal(await client.post(f"{API}/auth/refresh", json={"refresh_token": ada.refresh_token}), 401)
    await drain(app)
    assert smtp.to(ada.email)[-1]["Subject"] == "Your password was changed"
    assert data(await (await _person_of(client, ada)).get("/me"))["email_verified"] is True, (
        "the link proves the address"
    )


async def _person_of(client: httpx2.AsyncClient, person: Person) -> Person:
    answer = data(await _log_in(client, person, NEW_PASSWORD))
    return Person(client, person.id, person.email, answer["access_token"], answer["refresh_token"])


async def test_a_reset_link_works_once_for_ten_concurrent_requests(
    app: FastAPI, client: httpx2.AsyncClient, world: World, smtp: SmtpServer
) -> None:
    ada = await world.person("ada")
    token = await _mailed(app, client, smtp, ada)
    passwords = [f"{NEW_PASSWORD} {n}" for n in range(10)]
    answers = await asyncio.gather(*(_reset(client, token, password) for password in passwords))
    assert sorted(answer.status_code for answer in answers) == [200] + [422] * 9
    assert {refusal(answer, 422)["code"] for answer in answers if answer.status_code == 422} == {"link_invalid"}
    opened = [(await _log_in(client, ada, password)).status_code for password in passwords]
    assert sorted(opened) == [200] + [401] * 9
    assert [a.status_code for a in answers].index(200) == opened.index(200)


async def test_a_newer_reset_link_invalidates_the_older_one(
    app: FastAPI, client: httpx2.AsyncClient, world: World, smtp: SmtpServer
) -> None:
    ada = await world.person("ada")
    older, newer = await _mailed(app, client, smtp, ada), await _mailed(app, client, smtp, ada)
    error = refusal(await _reset(client, older), 422)
    assert (error["code"], error["field"]) == ("link_invalid", "token")
    data(await _reset(client, newer))


async def test_changing_the_password_invalidates_a_reset_link(
    app: FastAPI, client: httpx2.AsyncClient, world: World, smtp: SmtpServer
) -> None:
    ada = await world.person("ada")
    token = await _mailed(app, client, smtp, ada)
    data(await ada.post("/me/password", {"current_password": PASSWORD, "new_password": NEW_PASSWORD}))
    assert refusal(await _reset(client, token, "yet another password"), 422)["code"] == "link_invalid"


async def test_a_reset_does_not_reveal_whether_an_account_exists(
    app: FastAPI, client: httpx2.AsyncClient, world: World, smtp: SmtpServer
) -> None:
    """The response and the statements are the same in both cases, because only the consumer looks up the account."""
    ada = await world.person("ada")
    await drain(app)
    answers, written = [], []
    for email in (ada.email, "nobody@example.com"):
        answers.append(await _request_reset(client, email))
        async with app.state.worker_database.transaction() as session:
            query = text("select user_id, purpose from mail_tokens order by id desc limit 1")
            written.append(tuple((await session.execute(query)).one()))
    assert answers[0].status_code == answers[1].status_code == 202
    assert answers[0].json() == answers[1].json()
    assert written[0] == written[1] == (None, "reset_password")
    await drain(app)
    assert len(smtp.emails) == 2
    async with app.state.worker_database.transaction() as session:
        kept = await session.scalars(text("select email from mail_tokens where purpose = 'reset_password'"))
        assert kept.all() == [ada.email], "the address of a stranger is not kept"


async def test_one_mailbox_gets_one_reset_email_a_minute(
    app: FastAPI, client: httpx2.AsyncClient, world: World, smtp: SmtpServer
) -> None:
    ada = await world.person("ada")
    await drain(app)
    for email in (ada.email, ada.email.upper(), ada.email):
        assert (await _request_reset(client, email)).status_code == 202
    await drain(app)
    [_, reset_email] = smtp.to(ada.email)
    data(await _reset(client, token_in(reset_email)))


async def test_an_email_is_sent_to_the_address_of_the_account(
    app: FastAPI, client: httpx2.AsyncClient, world: World, smtp: SmtpServer
) -> None:
    ada = await world.person("ada")
    await drain(app)
    await _request_reset(client, ada.email.upper())
    await drain(app)
    assert [e.rcpt_tos for e in smtp.envelopes] == [[ada.email], [ada.email]]


async def test_a_crash_after_sending_resends_the_same_email_and_its_link_works_once(
    app: FastAPI, client: httpx2.AsyncClient, world: World, smtp: SmtpServer
) -> None:
    ada = await world.person("ada")
    await drain(app)
    await _request_reset(client, ada.email)
    dying = MailerKilledAfterSending(mail.connect(app.state.get(Settings)))
    [group] = [group for group in groups(app.state.get(Redis), dying) if group.name == "notifications"]
    for _ in range(2):
        with pytest.raises(Killed):
            await drain_group(app.state.worker_database, group)
    await drain(app)
    sent = smtp.to(ada.email)[1:]
    assert len(sent) == 3
    assert len({email["Message-ID"] for email in sent}) == 1
    assert len({link_in(email) for email in sent}) == 1
    data(await _reset(client, token_in(sent[0])))
    assert refusal(await _reset(client, token_in(sent[-1])), 422)["code"] == "link_invalid"


@pytest.mark.parametrize("seconds", [0, 1])
async def test_a_link_works_until_it_expires(
    app: FastAPI, client: httpx2.AsyncClient, world: World, smtp: SmtpServer, seconds: int
) -> None:
    ada = await world.person("ada")
    token = await _mailed(app, client, smtp, ada)
    async with app.state.worker_database.transaction() as session:
        query = "select distinct purpose, extract(epoch from expires_at - created_at) > 86000 from mail_tokens"
        assert dict((await session.execute(text(query))).all()) == {"verify_email": True, "reset_password": False}
        end = text("update mail_tokens set expires_at = now() + :s * interval '1 minute'")
        await session.execute(end, {"s": seconds})
    answer = await _reset(client, token)
    assert answer.status_code == (200 if seconds else 422)


async def test_no_message_table_or_log_line_contains_a_link(
    app: FastAPI,
    client: httpx2.AsyncClient,
    world: World,
    smtp: SmtpServer,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level("DEBUG")
    ada = await world.person("ada")
    token = await _mailed(app, client, smtp, ada)
    async with app.state.worker_database.transaction() as session:
        written = [
            str(row)
            for table in ("outbox", "mail_tokens", "inbox", "idempotency_keys", "dead_letters")
            for row in (await session.execute(text(f"select * from {table}"))).all()
        ]
        payloads = (await session.scalars(text("select payload::text from outbox"))).all()
    # Without the log of the SMTP server, which is part of the test.
    logged = [record.getMessage() for record in caplog.records if record.name != "mail.log"]
    printed = "\n".join([*capsys.readouterr(), *logged])
    assert "letter_sent" in printed
    for part in (token, token[22:], token[:22]):
        assert part not in printed
        assert not any(part in row for row in written)
    assert ada.email not in printed
    assert not any(ada.email in payload for payload in payloads)
