"""Forged, foreign, expired and malformed access tokens are refused; keys are rotated without logging users out."""

import time
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from pydantic import SecretStr

from tests.modules.iam.forgeries import HEADER, SECRET, THEIRS, claims_for, forge, forgeries, oddities
from tests.support.world import API, Person, World, data, refusal
from ticketing.infra import config, security
from ticketing.infra.errors import Unauthenticated
from ticketing.infra.security import access_tokens, keyring
from ticketing.infra.system import database_clock

OLD, NEW = SECRET, "a newer secret for tests that is long enough"


def _bearer(token: str) -> dict[str, bytes]:
    # As bytes, because some forgeries are not ASCII.
    return {"Authorization": f"Bearer {token}".encode()}


def _use_keys(monkeypatch: pytest.MonkeyPatch, *keys: str) -> None:
    settings = config.get_settings().model_copy(update={"jwt_secret": SecretStr(",".join(keys))})
    for module in (keyring, access_tokens):
        monkeypatch.setattr(module, "get_settings", lambda: settings)


@pytest.fixture
async def ada(world: World) -> Person:
    return await world.person("ada")


@pytest.fixture
def claims(ada: Person) -> dict[str, Any]:
    """Claims of an existing user and session, so that no forgery is refused for an unknown one."""
    return claims_for(ada.id, str(access_tokens.read_token(ada.token).session_id))


async def test_no_forged_token_is_accepted_anywhere(client: httpx2.AsyncClient, claims: dict[str, Any]) -> None:
    forged, accepted = forgeries(claims), []
    assert len(set(forged.values())) >= 60
    for name, token in forged.items():
        for path in ("/me", "/orgs", f"/events/{uuid4()}"):
            answer = await client.get(f"{API}{path}", headers=_bearer(token))
            if answer.status_code != 401:
                accepted.append((name, path, answer.status_code))
                continue
            assert refusal(answer, 401)["code"] == "unauthenticated", name
            assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert accepted == []


async def test_a_forged_token_changes_nothing(client: httpx2.AsyncClient, claims: dict[str, Any]) -> None:
    for name, token in forgeries(claims).items():
        headers = {**_bearer(token), "Idempotency-Key": uuid4().hex}
        answer = await client.post(f"{API}/orgs", json={"name": "Hall", "slug": "hall"}, headers=headers)
        assert answer.status_code == 401, name


async def test_unusual_but_valid_tokens_are_accepted(client: httpx2.AsyncClient, claims: dict[str, Any]) -> None:
    for name, token in oddities(claims).items():
        answer = await client.get(f"{API}/me", headers=_bearer(token))
        assert answer.status_code == 200, name
        assert data(answer)["id"] == claims["sub"]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
async def test_the_scheme_is_read_in_any_case(client: httpx2.AsyncClient, ada: Person, scheme: str) -> None:
    data(await client.get(f"{API}/me", headers={"Authorization": f"{scheme} {ada.token}"}))


async def test_two_authorization_headers_are_refused(client: httpx2.AsyncClient, ada: Person) -> None:
    good, other, none = (("Authorization", value) for value in (f"Bearer {ada.token}", "Bearer x", ""))
    for headers in (
        [good, good],
        [good, other],
        [other, good],
        [good, none],
        [none, good],
        [good, ("Authorization", "ApiKey tk_x")],
    ):
        for path in ("/me", "/orgs", f"/orgs/{uuid4()}", f"/events/{uuid4()}"):
            assert refusal(await client.get(f"{API}{path}", headers=headers), 401)["code"] == "unauthenticated"


async def test_a_refresh_token_is_not_an_access_token(client: httpx2.AsyncClient, ada: Person) -> None:
    answer = await client.get(f"{API}/me", headers=_bearer(ada.refresh_token))
    assert refusal(answer, 401)["code"] == "unauthenticated"


@pytest.mark.parametrize("seconds", [1, 60, 10**9])
async def test_an_expired_token_says_so(client: httpx2.AsyncClient, claims: dict[str, Any], seconds: int) -> None:
    token = forge(HEADER, {**claims, "exp": int(time.time()) - seconds})
    assert refusal(await client.get(f"{API}/me", headers=_bearer(token)), 401)["code"] == "token_expired"


async def test_an_expired_token_with_another_key_is_invalid(client: httpx2.AsyncClient, claims: dict[str, Any]) -> None:
    token = forge(HEADER, {**claims, "exp": int(time.time()) - 1}, THEIRS)
    assert refusal(await client.get(f"{API}/me", headers=_bearer(token)), 401)["code"] == "unauthenticated"


def test_a_token_expires_at_the_exact_second(monkeypatch: pytest.MonkeyPatch) -> None:
    token = access_tokens.issue_token(uuid4(), uuid4())
    ends_at = access_tokens.read_token(token).expires_at.timestamp()
    monkeypatch.setattr(database_clock, "now", lambda: ends_at - 0.001)
    access_tokens.read_token(token)
    monkeypatch.setattr(database_clock, "now", lambda: ends_at)
    with pytest.raises(access_tokens.TokenExpired):
        access_tokens.read_token(token)


def test_a_cached_token_expires_at_the_exact_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_800_000_000
    monkeypatch.setattr(database_clock, "now", lambda: now)
    token = access_tokens.issue_token(uuid4(), uuid4())
    assert access_tokens.check_token(token) is access_tokens.check_token(token)
    now += config.get_settings().access_token_seconds
    for _ in range(2):
        with pytest.raises(access_tokens.TokenExpired):
            access_tokens.check_token(token)


def test_the_token_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_tokens, "CACHED_TOKENS_MAX", 3)
    first, *others = (access_tokens.issue_token(uuid4(), uuid4()) for _ in range(4))
    claims = [access_tokens.check_token(token) for token in (first, *others)]
    assert access_tokens.check_token(others[0]) is claims[1]
    again = access_tokens.check_token(first)
    assert again == claims[0]
    assert again is not claims[0]
    assert len(access_tokens._cache) == 3


def test_a_cached_token_is_refused_after_its_session_ended() -> None:
    session_id = uuid4()
    token = access_tokens.issue_token(uuid4(), session_id)
    access_tokens.check_token(token)
    access_tokens.revoked_sessions.add([session_id])
    with pytest.raises(access_tokens.SessionRevoked):
        access_tokens.check_token(token)


def test_an_oversized_token_is_refused_before_any_computation(
    monkeypatch: pytest.MonkeyPatch, claims: dict[str, Any]
) -> None:
    monkeypatch.setattr(access_tokens, "_signatures", None)
    with pytest.raises(Unauthenticated):
        access_tokens.read_token(forge(HEADER, {**claims, "x": "x" * 1000}))


@pytest.mark.parametrize(
    "header", ["Basic YTpi", "Bearer", "bearer ", "ApiKey tk_x_y", "Token abc", "ﬀ".encode().decode("latin-1")]
)
async def test_another_scheme_is_refused(client: httpx2.AsyncClient, header: str) -> None:
    answer = await client.get(f"{API}/me", headers={"Authorization": header.encode("latin-1")})
    assert refusal(answer, 401)["code"] == "unauthenticated"


async def test_a_request_without_a_token_is_refused(client: httpx2.AsyncClient) -> None:
    assert refusal(await client.get(f"{API}/me"), 401)["code"] == "unauthenticated"


async def test_a_key_rotation_logs_no_user_out(ada: Person, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = ada.token
    _use_keys(monkeypatch, NEW, OLD)
    data(await ada.get("/me"))
    bob = await world.person("bob")
    assert bob.token.split(".")[0] != before.split(".")[0], "what is made now is made with the new key"
    data(await bob.get("/me"))


async def test_a_second_key_is_accepted_before_it_is_used(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Allows a rolling restart: first every process knows the new key, then it is used."""
    _use_keys(monkeypatch, NEW, OLD)
    early = access_tokens.issue_token(UUID(ada.id), uuid4())
    _use_keys(monkeypatch, OLD, NEW)
    ada.token = early
    data(await ada.get("/me"))


async def test_tokens_of_a_removed_key_are_refused(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    _use_keys(monkeypatch, NEW)
    assert refusal(await ada.get("/me"), 401)["code"] == "unauthenticated"
    body = {"refresh_token": ada.refresh_token}
    answer = data(await ada.client.post(f"{API}/auth/refresh", json=body))
    ada.token = answer["access_token"]
    data(await ada.get("/me"))


def test_a_token_is_verified_by_the_key_that_it_names_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    claims = claims_for(str(uuid4()), str(uuid4()))
    _use_keys(monkeypatch, NEW, OLD)
    with pytest.raises(Unauthenticated):
        access_tokens.read_token(forge(HEADER, claims, NEW))
    access_tokens.read_token(forge(HEADER, claims, OLD))


def test_the_id_of_a_key_reveals_nothing_about_it() -> None:
    first, second = keyring.Key(OLD), keyring.Key(NEW)
    assert len({first.id, second.id, *(first.derive(purpose).hex()[:8] for purpose in ("seal", "digest"))}) == 4
    assert first.id not in OLD


def test_sealing_uses_the_newest_key_and_unsealing_the_original_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sealed = security.seal(b"secret")
    _use_keys(monkeypatch, NEW, OLD)
    newer = security.seal(b"secret")
    assert security.unseal(sealed) == security.unseal(newer) == b"secret"
    assert sealed[: keyring.ID_BYTES] != newer[: keyring.ID_BYTES]
    _use_keys(monkeypatch, NEW)
    assert security.unseal(newer) == b"secret"
    for broken in (sealed, newer[:-1], newer[:-1] + b"\x00", newer[: keyring.ID_BYTES], b""):
        with pytest.raises(security.SealUnknown):
            security.unseal(broken)


def test_a_digest_is_recognised_as_long_as_its_key_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    digest = security.keyed_digest(b"content")
    _use_keys(monkeypatch, NEW, OLD)
    assert security.keyed_digest(b"content") != digest
    assert security.is_keyed_digest(digest, b"content")
    assert not security.is_keyed_digest(digest, b"other content")
    assert not security.is_keyed_digest(digest, b"content", "another purpose")
    _use_keys(monkeypatch, NEW)
    assert not security.is_keyed_digest(digest, b"content")


async def test_a_retry_gets_its_response_after_a_key_rotation(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, headers = {"email": "ada@example.com", "password": "correct horse battery"}, {"Idempotency-Key": "once"}
    first = await client.post(f"{API}/auth/register", json=body, headers=headers)
    _use_keys(monkeypatch, NEW, OLD)
    again = await client.post(f"{API}/auth/register", json=body, headers=headers)
    assert (again.status_code, again.content) == (201, first.content)
    other = await client.post(f"{API}/auth/register", json={**body, "email": "bob@example.com"}, headers=headers)
    assert refusal(other, 422)["code"] == "idempotency_mismatch"


@pytest.mark.parametrize("secret", [f"{OLD},short", "short", ",", f"short,{OLD}"])
def test_each_of_several_keys_has_to_be_long_enough(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", secret)
    with pytest.raises(config.ConfigurationError, match="JWT_SECRET: must have at least 32 bytes"):
        config.load_settings()


def test_keys_are_parsed_newest_first_without_surrounding_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", f" {NEW} , {OLD},")
    assert config.load_settings().jwt_secrets == (NEW, OLD)
