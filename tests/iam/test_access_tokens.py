"""Forged, foreign, stale and broken access tokens open nothing."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.world import API, World, data, refusal

from ticketing.infra.config import get_settings

SECRET = get_settings().jwt_secret.get_secret_value()


def _claims(**changes: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    claims = {
        "iss": "ticketing",
        "aud": "ticketing-api",
        "sub": str(uuid4()),
        "sid": str(uuid4()),
        "typ": "access",
        "iat": now,
        "exp": now + timedelta(hours=2),
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def _signed(
    secret: Any = SECRET, algorithm: str = "HS256", header: dict[str, Any] | None = None, **changes: Any
) -> str:
    return jwt.encode(_claims(**changes), secret, algorithm, header)


def _parts(token: str) -> list[str]:
    return token.split(".")


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _unsigned(algorithm: str) -> str:
    return ".".join([_encoded(f'{{"alg":"{algorithm}","typ":"JWT"}}'.encode()), _parts(_signed())[1], ""])


FORGED = {
    "no algorithm": jwt.encode(_claims(), None, "none"),
    "none in capitals": _unsigned("NONE"),
    "HS256 without a signature": _unsigned("HS256"),
    "another key": _signed("another secret for tests that is long enough"),
    "another algorithm of the same key": _signed(SECRET * 2, "HS512"),
    "same key, HS384": _signed(SECRET * 2, "HS384"),
    "an RSA key of one's own": _signed(rsa.generate_private_key(65537, 2048), "RS256"),
    "a key that its header names": _signed("x" * 32, header={"kid": "../../dev/null", "jku": "http://evil.example"}),
    "a header that brings its key": _signed("x" * 32, header={"jwk": {"kty": "oct", "k": "eHh4"}}),
    "an extension that we must understand": _signed(header={"crit": ["exp2"], "exp2": 1}),
    "claims of another token": ".".join([_parts(_signed())[0], _parts(_signed())[1], _parts(_signed())[2]]),
    "another audience": _signed(aud="another-api"),
    "an audience list without ours": _signed(aud=["a", "b"]),
    "another issuer": _signed(iss="somebody else"),
    "another purpose": _signed(typ="refresh"),
    "no purpose": _signed(typ=None),
    "no end": _signed(exp=None),
    "no audience": _signed(aud=None),
    "no issuer": _signed(iss=None),
    "no subject": _signed(sub=None),
    "no session": _signed(sid=None),
    "no time of issue": _signed(iat=None),
    "issued tomorrow": _signed(iat=datetime.now(UTC) + timedelta(days=1), exp=datetime.now(UTC) + timedelta(days=2)),
    "not yet valid": _signed(nbf=datetime.now(UTC) + timedelta(hours=1)),
    "an end that is a word": _signed(exp="never"),
    "a subject that is no id": _signed(sub="admin"),
    "a session that is a number": _signed(sid=7),
    "not a token": "garbage",
    "two parts": ".".join(_parts(_signed())[:2]),
    "five parts": "a.b.c.d.e",
    "no JSON inside": ".".join(_encoded(b"not json") for _ in range(3)),
    "a list inside": ".".join(_encoded(b"[]") for _ in range(3)),
    "nothing": "",
}


async def test_the_pattern_of_all_these_tokens_is_good_by_itself(client: httpx2.AsyncClient, world: World) -> None:
    person = await world.person()
    person.token = _signed(sub=person.id)
    assert data(await person.get("/me"))["id"] == person.id


async def test_a_bad_token_is_refused(client: httpx2.AsyncClient) -> None:
    for name, token in FORGED.items():
        answer = await client.get(f"{API}/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401, name
        assert refusal(answer, 401)["code"] == "unauthenticated", name
        assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_an_expired_token_says_so(client: httpx2.AsyncClient) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    answer = await client.get(f"{API}/me", headers={"Authorization": f"Bearer {_signed(exp=past)}"})
    assert refusal(answer, 401)["code"] == "token_expired"


async def test_an_expired_token_with_another_key_is_just_bad(client: httpx2.AsyncClient) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    headers = {"Authorization": f"Bearer {_signed('x' * 32, exp=past)}"}
    assert refusal(await client.get(f"{API}/me", headers=headers), 401)["code"] == "unauthenticated"


@pytest.mark.parametrize(
    "header", ["Basic YTpi", "Bearer", "bearer ", "ApiKey tk_x_y", "Token abc", "ﬀ".encode().decode("latin-1")]
)
async def test_another_scheme_is_refused(client: httpx2.AsyncClient, header: str) -> None:
    answer = await client.get(f"{API}/me", headers={"Authorization": header.encode("latin-1")})
    assert refusal(answer, 401)["code"] == "unauthenticated"


async def test_nobody_is_refused(client: httpx2.AsyncClient) -> None:
    assert refusal(await client.get(f"{API}/me"), 401)["code"] == "unauthenticated"
