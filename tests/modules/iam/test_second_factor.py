"""Six digits of an app beside the password: once each, never by guessing, and with a way in without the phone."""

import asyncio
import base64
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID
from xml.etree import ElementTree

import httpx2
import pytest
from fastapi import FastAPI

from tests.modules.payments.till import rows, run
from tests.support.authenticator import PATH, begin, digits, switch_on
from tests.support.world import API, PASSWORD, Person, World, data, refusal
from ticketing.infra import security
from ticketing.modules.iam import service
from ticketing.modules.iam.second_factor import codes as second_factor_codes


async def log_in(person: Person, code: str | None = None, password: str = PASSWORD) -> httpx2.Response:
    body = {"email": person.email, "password": password, **({} if code is None else {"code": code})}
    return await person.client.post(f"{API}/auth/login", json=body)


async def switch_off(person: Person, code: str, password: str = PASSWORD) -> httpx2.Response:
    return await person.request("DELETE", PATH, json={"password": password, "code": code})


async def is_on(person: Person) -> bool:
    return bool(data(await person.get("/me"))["has_second_factor"])


@pytest.fixture
async def ada(world: World) -> Person:
    return await world.person("ada")


def wrong_code(secret: str) -> str:
    near = {digits(secret, steps) for steps in range(-3, 4)}
    return next(code for code in (f"{n:06}" for n in range(8)) if code not in near)


async def test_it_is_off_until_a_first_code_confirms_it(ada: Person) -> None:
    assert not await is_on(ada)
    secret = await begin(ada)
    assert not await is_on(ada)
    data(await log_in(ada))
    assert refusal(await ada.post(f"{PATH}/confirm", {"code": wrong_code(secret)}), 422)["field"] == "code"
    data(await ada.post(f"{PATH}/confirm", {"code": digits(secret)}))
    assert await is_on(ada)


async def test_the_secret_comes_as_text_as_an_address_and_as_a_picture(ada: Person) -> None:
    answer = data(await ada.post(PATH, {"password": PASSWORD}), 201)
    address = urlsplit(answer["otpauth_uri"])
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    said = {name: values[0] for name, values in parse_qs(address.query).items()}
    assert said["secret"] == answer["secret"]
    assert (said["issuer"], said["digits"], said["period"], said["algorithm"]) == ("Ticketing", "6", "30", "SHA1")
    picture = ElementTree.fromstring(answer["qr_svg"])  # noqa: S314 (our own answer)
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    assert not [part for part in picture.iter() if {"style", "class"} & part.attrib.keys()]


async def test_log_in_asks_for_the_code_after_the_password_was_right(ada: Person) -> None:
    secret, _ = await switch_on(ada)
    assert refusal(await log_in(ada), 401)["code"] == "second_factor_required"
    assert refusal(await log_in(ada, wrong_code(secret)), 401)["code"] == "second_factor_wrong"
    wrong_password = refusal(await log_in(ada, digits(secret), "not the password"), 401)
    assert wrong_password == refusal(await log_in(ada, None, "not the password"), 401)
    assert wrong_password["code"] == "bad_credentials"
    assert data(await log_in(ada, f" {digits(secret)[:3]} {digits(secret)[3:]} "))["access_token"]


async def test_a_code_is_taken_once_and_no_older_one_after_it(app: FastAPI, ada: Person) -> None:
    secret, _ = await switch_on(ada)
    code = digits(secret, 1)
    answers = await asyncio.gather(*[log_in(ada, code) for _ in range(4)])
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 3
    assert refusal(await log_in(ada, digits(secret)), 401)["code"] == "second_factor_wrong"


async def test_the_code_that_switched_it_on_does_not_log_in(ada: Person) -> None:
    secret = await begin(ada)
    code = digits(secret)
    data(await ada.post(f"{PATH}/confirm", {"code": code}))
    assert refusal(await log_in(ada, code), 401)["code"] == "second_factor_wrong"


async def test_a_retry_with_the_same_key_is_the_same_answer(ada: Person) -> None:
    """A log-in whose answer was lost is not lost: its code was used, and is what the retry sends again."""
    secret, _ = await switch_on(ada)
    body = {"email": ada.email, "password": PASSWORD, "code": digits(secret)}
    headers = {"Idempotency-Key": "once"}
    first, again = [await ada.client.post(f"{API}/auth/login", json=body, headers=headers) for _ in range(2)]
    assert data(first) == data(again)


async def test_five_wrong_codes_are_the_end_of_it_for_a_quarter_of_an_hour(app: FastAPI, ada: Person) -> None:
    secret, recovery_codes = await switch_on(ada)
    guesses = await asyncio.gather(*[log_in(ada, wrong_code(secret)) for _ in range(20)])
    assert sorted(answer.status_code for answer in guesses) == [401] * 5 + [429] * 15
    refused = await log_in(ada, digits(secret))
    assert refusal(refused, 429)["code"] == "rate_limited"
    assert 800 < int(refused.headers["Retry-After"]) <= 901
    data(await log_in(ada, recovery_codes[0]))
    await run(app, "update second_factors set tries_since = tries_since - interval '15 minutes'")
    data(await log_in(ada, digits(secret)))


async def test_a_right_code_gives_its_try_back(app: FastAPI, ada: Person) -> None:
    secret, _ = await switch_on(ada)
    for _ in range(4):
        refusal(await log_in(ada, wrong_code(secret)), 401)
    for _ in range(3):
        await run(app, "update second_factors set last_step = 0")
        data(await log_in(ada, digits(secret)))
    assert [row.tries for row in await rows(app, "select tries from second_factors")] == [4]


async def test_each_recovery_code_opens_the_account_once(ada: Person) -> None:
    _, recovery_codes = await switch_on(ada)
    assert len(set(recovery_codes)) == 10
    first, second = recovery_codes[:2]
    answers = await asyncio.gather(*[log_in(ada, first) for _ in range(4)])
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 3
    data(await log_in(ada, second.lower().replace("-", " ")))
    assert refusal(await log_in(ada, f"{second}A"), 401)["code"] == "second_factor_wrong"


async def test_nothing_in_the_database_gives_a_code_away(app: FastAPI, ada: Person) -> None:
    secret, recovery_codes = await switch_on(ada)
    [row] = await rows(app, "select row_to_json(f)::text as text, sealed_secret from second_factors f")
    assert security.unseal(bytes(row.sealed_secret)) == base64.b32decode(secret)
    assert base64.b32decode(secret) not in bytes(row.sealed_secret)
    for code in recovery_codes:
        assert code not in row.text
        assert code.replace("-", "") not in row.text


async def test_switching_it_off_takes_the_password_and_a_code(app: FastAPI, ada: Person) -> None:
    secret, recovery_codes = await switch_on(ada)
    assert refusal(await switch_off(ada, digits(secret), "not the password"), 422)["field"] == "password"
    assert refusal(await switch_off(ada, wrong_code(secret)), 422)["field"] == "code"
    assert await is_on(ada)
    data(await switch_off(ada, digits(secret)))
    assert not await is_on(ada)
    data(await log_in(ada))
    assert refusal(await switch_off(ada, digits(secret)), 409)["code"] == "second_factor_absent"
    assert await rows(app, "select 1 from second_factors") == []
    _, recovery_codes = await switch_on(ada)
    data(await switch_off(ada, recovery_codes[9]))


async def test_guessing_is_bounded_when_switching_off_too(ada: Person) -> None:
    secret, _ = await switch_on(ada)
    answers = [await switch_off(ada, wrong_code(secret)) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [422] * 5 + [429]


async def test_an_open_log_in_alone_switches_nothing_on(ada: Person) -> None:
    refusal(await ada.post(PATH, {"password": "not the password"}), 422)
    assert refusal(await ada.post(f"{PATH}/confirm", {"code": "123456"}), 409)["code"] == "second_factor_absent"
    refusal(await ada.client.post(f"{API}{PATH}", json={"password": PASSWORD}), 401)


async def test_what_is_on_is_not_replaced(ada: Person) -> None:
    await begin(ada)
    secret, _ = await switch_on(ada)
    assert refusal(await ada.post(PATH, {"password": PASSWORD}), 409)["code"] == "second_factor_active"
    again = await ada.post(f"{PATH}/confirm", {"code": digits(secret)})
    assert refusal(again, 409)["code"] == "second_factor_active"
    data(await log_in(ada, digits(secret)))


async def test_every_other_log_in_ends_when_it_is_switched_on_or_off(ada: Person) -> None:
    other = data(await log_in(ada))
    secret, _ = await switch_on(ada)
    refusal(await ada.client.post(f"{API}/auth/refresh", json={"refresh_token": other["refresh_token"]}), 401)
    data(await ada.get("/me"))
    other = data(await log_in(ada, digits(secret)))
    data(await switch_off(ada, digits(secret, 1)))
    refusal(await ada.client.post(f"{API}/auth/refresh", json={"refresh_token": other["refresh_token"]}), 401)
    data(await ada.get("/me"))


async def test_another_password_does_not_switch_it_off(app: FastAPI, ada: Person) -> None:
    secret, _ = await switch_on(ada)
    async with app.state.worker_database.transaction() as session:
        await service.set_password(session, UUID(ada.id), await security.hash_password("another good password"))
    assert refusal(await log_in(ada, None, "another good password"), 401)["code"] == "second_factor_required"
    data(await log_in(ada, digits(secret), "another good password"))


async def test_who_is_asked_for_a_code_is_told_to_the_log(app: FastAPI, ada: Person) -> None:
    secret, _ = await switch_on(ada)
    data(await switch_off(ada, digits(secret)))
    told = await rows(app, "select topic, key, payload::text as text from outbox where topic like 'second_factor%'")
    assert [(row.topic, row.key) for row in told] == [
        ("second_factor.enabled", ada.id),
        ("second_factor.disabled", ada.id),
    ]
    assert not [row for row in told if secret in row.text]


RFC_SECRET = b"12345678901234567890"
#: RFC 6238, appendix B, SHA-1; the last six of its eight digits.
VECTORS = [
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
]


@pytest.mark.parametrize(("at", "code"), VECTORS)
def test_the_digits_are_those_of_the_standard(at: int, code: str) -> None:
    assert second_factor_codes.find_step(RFC_SECRET, code, at) == at // 30


def test_a_phone_may_be_half_a_minute_off_and_no_more() -> None:
    at, code = VECTORS[-1]
    found = {off: second_factor_codes.find_step(RFC_SECRET, code, at + off) for off in (-60, -30, 30, 60)}
    assert found == {-60: None, -30: at // 30, 30: at // 30, 60: None}


@pytest.mark.parametrize("code", ["", " ", "12345", "1234567", "١٢٣٤٥٦", "12345é", "a" * 60, "------", "12 34 56 7"])
async def test_what_is_no_code_is_refused_in_words(ada: Person, code: Any) -> None:
    await switch_on(ada)
    answer = await log_in(ada, code)
    assert answer.status_code in {401, 422}
    assert refusal(answer, answer.status_code)["code"] in {"second_factor_wrong", "invalid"}
