"""Links in emails: forgery, purpose and storage."""

import base64
from collections.abc import Callable
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import text

from tests.support.world import API, World, data, refusal
from ticketing.infra import security
from ticketing.infra.db import Database, new_id
from ticketing.infra.security import crypto
from ticketing.infra.system.fair_threads import FairThreads
from ticketing.modules import iam
from ticketing.modules.iam.mail_tokens.links import LinkInvalid, read_link
from ticketing.modules.iam.mail_tokens.models import Purpose

PATHS = {
    Purpose.VERIFY_EMAIL: "/auth/verify-email",
    Purpose.CONFIRM_RECIPIENT: "/auth/verify-email",
    Purpose.RESET_PASSWORD: "/auth/password-reset/confirm",
}


def _link(purpose: Purpose, token_id: UUID | None = None) -> str:
    return iam.write_link(iam.MailToken(id=token_id or new_id(), purpose=purpose))


def _swapped(text_: str, place: int) -> str:
    return text_[:place] + ("A" if text_[place] != "A" else "B") + text_[place + 1 :]


FORGERIES: dict[str, Callable[[str], str]] = {
    "empty": lambda link: "",
    "blank": lambda link: " " * 64,
    "short": lambda link: link[:-1],
    "long": lambda link: link + "A",
    "another id": lambda link: _swapped(link, 5),
    "another digest": lambda link: _swapped(link, 40),
    "the last letter changed": lambda link: _swapped(link, 63),
    "no digest": lambda link: base64.urlsafe_b64encode(base64.urlsafe_b64decode(link)[:16] + b"\0" * 32).decode(),
    "a plain hash": lambda link: link[:21] + security.fingerprint(link)[:43],
    "padded": lambda link: link + "==",
    "a newline": lambda link: link[:-1] + "\n",
    "other alphabet": lambda link: link[:-1] + "+",
    "letters beyond ASCII": lambda link: link[:-1] + "\u0661",
    "lower case": lambda link: link.lower(),
    "turned round": lambda link: link[::-1],
}


@pytest.mark.parametrize("purpose", list(Purpose))
@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_link_is_refused(purpose: Purpose, forgery: str) -> None:
    with pytest.raises(LinkInvalid):
        read_link(FORGERIES[forgery](_link(purpose)), purpose)


def test_a_link_is_valid_for_one_purpose() -> None:
    verify, reset = Purpose.VERIFY_EMAIL, Purpose.RESET_PASSWORD
    token_id = new_id()
    assert read_link(_link(verify, token_id), verify) == token_id
    with pytest.raises(LinkInvalid):
        read_link(_link(verify, token_id), reset)
    with pytest.raises(LinkInvalid):
        read_link(_link(reset, token_id), verify)


@pytest.mark.parametrize("purpose", list(Purpose))
async def test_a_genuine_link_without_a_row_is_refused(client: httpx2.AsyncClient, purpose: Purpose) -> None:
    body = {"token": _link(purpose)}
    body |= {"password": "staple battery horse"} if purpose == Purpose.RESET_PASSWORD else {}
    error = refusal(await client.post(f"{API}{PATHS[purpose]}", json=body), 422)
    assert (error["code"], error["field"]) == ("link_invalid", "token")


async def test_a_reset_link_is_invalid_before_its_email_is_sent(
    client: httpx2.AsyncClient, world: World, database: Database
) -> None:
    ada = await world.person("ada")
    await client.post(f"{API}/auth/password-reset", json={"email": ada.email})
    async with database.transaction() as session:
        token_id = await session.scalar(text("select id from mail_tokens where purpose = 'reset_password'"))
    body = {"token": _link(Purpose.RESET_PASSWORD, token_id), "password": "staple battery horse"}
    assert refusal(await client.post(f"{API}{PATHS[Purpose.RESET_PASSWORD]}", json=body), 422)["code"] == "link_invalid"


async def test_a_bad_link_costs_no_hash(client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """argon2 takes 100 ms, which an invalid link must not cost."""
    monkeypatch.setattr(crypto, "_hashing", FairThreads("argon2", 1, waiting_max=0, waiting_of_source_max=0))
    body = {"token": "x" * 64, "password": "staple battery horse"}
    answer = await client.post(f"{API}{PATHS[Purpose.RESET_PASSWORD]}", json=body)
    assert refusal(answer, 422)["code"] == "link_invalid", "with no place to hash in it would have been a 503"


async def test_a_link_for_a_former_address_is_invalid(
    client: httpx2.AsyncClient, world: World, database: Database
) -> None:
    ada = await world.person("ada")
    async with database.transaction() as session:
        token_id = await session.scalar(text("select id from mail_tokens"))
        await session.execute(text("update users set email = 'new@example.com', email_normalized = 'new@example.com'"))
    answer = await client.post(f"{API}/auth/verify-email", json={"token": _link(Purpose.VERIFY_EMAIL, token_id)})
    assert refusal(answer, 422)["code"] == "link_invalid"
    assert data(await ada.get("/me"))["email_verified"] is False


async def test_unverified_users_may_hold_and_buy(world: World) -> None:
    show, ada = await world.show(), await world.person("ada")
    assert data(await ada.get("/me"))["email_verified"] is False
    assert (await world.buy(ada, show, "Stalls-A-1"))["status"] == "paid"


async def test_links_are_deleted_a_day_after_they_expire(world: World, database: Database) -> None:
    for _ in range(3):
        await world.person()
    age = text("update mail_tokens set expires_at = now() - :h * interval '1 hour' where id = :id")
    async with database.transaction() as session:
        ids = (await session.scalars(text("select id from mail_tokens order by id"))).all()
        for token_id, hours in zip(ids, (25, 23, 1), strict=True):
            await session.execute(age, {"id": token_id, "h": hours})
        assert await iam.clean_mail_tokens(session) == 1
        assert await iam.clean_mail_tokens(session) == 0
        assert await session.scalar(text("select count(*) from mail_tokens")) == 2
