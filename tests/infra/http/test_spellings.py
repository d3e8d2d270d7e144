"""A limit counts what a route understands: every spelling of one mailbox or id in a body shares one counter."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from random import Random
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from tests.fuzz.size import SEED
from tests.support.world import API, refusal
from ticketing import admission
from ticketing.infra import security
from ticketing.infra.config import Settings
from ticketing.infra.email_addresses import normalize_email
from ticketing.infra.errors import BadRequest
from ticketing.infra.http.rate_limiter import Rate
from ticketing.infra.redis import connect_for_limits
from ticketing.modules.iam.schemas import LogIn
from ticketing.rate_limits import SIGN_IN, Dimension, policy_of

VICTIM = "vic.tim@b\u00fccher.example"
PASSWORD = "wrong wrong wrong"
ROUTES: dict[str, dict[str, str]] = {
    "/auth/login": {"password": PASSWORD},
    "/auth/register": {"password": PASSWORD},
    "/auth/password-reset": {},
}
#: Other texts for one mailbox. A route either refuses them or finds the same account by them.
ADDRESSES = (
    VICTIM.upper(),
    f" {VICTIM}\t",
    f"x1 <{VICTIM}>",
    f'"x2" <{VICTIM}>',
    f"<{VICTIM}>",
    f"{VICTIM} (x3)",
    f'"vic.tim"@{VICTIM.partition("@")[2]}',
    f"\ufeff{VICTIM}",
    f"\u00a0{VICTIM}\u2028",
    f"\x1f{VICTIM}",
    f"{VICTIM}.",
    f"mailto:{VICTIM}",
    "vic.tim@xn--bcher-kva.example",
    "vic.tim@XN--BCHER-KVA.example",
    "vic.tim@bu\u0308cher.example",
    "vic.tim@\uff42\u00fccher.\uff45xample",
    "vic.tim@b\u00fccher\u3002example",
    "vic.tim\uff20b\u00fccher.example",
    "vic.tim@b\u00fc\u00adcher.example",
)


def bodies(fields: dict[str, str], address: str) -> Iterator[bytes]:
    """One address in several encodings and notations of JSON."""
    text = json.dumps({"email": address, **fields}, ensure_ascii=False)
    yield from (text.encode(each) for each in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-7"))
    yield text.encode("latin-1", "replace")
    yield json.dumps({"email": address, **fields}).encode()
    yield text.replace('"email"', '"\\u0065mail"').replace("v", "\\u0076").encode()
    yield text.replace('{"email"', '{"email": "other@example.com", "email"').encode()
    yield text.replace('{"email"', '{"email": {"x": NaN}, "email"').encode()
    yield f"\n\t {text}\r\n".encode()
    yield text.encode() + b"\0"


@pytest.fixture
async def limited(
    app: FastAPI, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[[str, bytes, str], Any]]:
    """Return a function that posts a body from a new network address, with two tries per mailbox in all."""
    monkeypatch.setitem(SIGN_IN.rates, Dimension.EMAIL, Rate(1, 2))
    redis = connect_for_limits(settings)
    await redis.flushdb()
    numbers = iter(range(1, 60_000))

    async def post(path: str, body: bytes, media: str = "application/json") -> httpx2.Response:
        number = next(numbers)
        transport = httpx2.ASGITransport(app, client=(f"198.18.{number // 256}.{number % 256}", 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post(f"{API}{path}", content=body, headers={"Content-Type": media})

    yield post
    await redis.flushdb()
    await redis.aclose()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"rate_limits": "on"})


async def test_every_spelling_of_a_mailbox_shares_one_limit(limited: Callable[..., Any]) -> None:
    plain = json.dumps({"email": VICTIM, "password": PASSWORD}).encode()
    assert [(await limited("/auth/login", plain)).status_code for _ in range(3)] == [401, 401, 429]
    outcomes = {400: 0, 422: 0, 429: 0}
    for path, fields in ROUTES.items():
        for address in (VICTIM, *ADDRESSES):
            for body in bodies(fields, address) if address == VICTIM else [*bodies(fields, address)][:1]:
                response = await limited(path, body)
                assert response.status_code in outcomes, f"{path} {body!r}: {response.status_code} {response.text}"
                outcomes[response.status_code] += 1
    assert min(outcomes.values()) > 10, outcomes
    # The limit is of the mailbox, not of everything.
    other = plain.replace(b"vic.tim", b"vic.tam")
    assert refusal(await limited("/auth/login", other), 401)["code"] == "bad_credentials"


@pytest.mark.parametrize("media", ["application/JSON", "Application/vnd.x+Json; charset=utf-16", "application/json"])
async def test_the_notation_of_the_media_type_changes_no_limit(limited: Callable[..., Any], media: str) -> None:
    plain = json.dumps({"email": VICTIM, "password": PASSWORD}).encode()
    assert [(await limited("/auth/login", plain, media)).status_code for _ in range(3)] == [401, 401, 429]
    for body in (b"\xef\xbb\xbf" + plain, plain.decode().encode("utf-16"), b"[" * 40 + b"]" * 40):
        assert refusal(await limited("/auth/login", body, media), 400)["code"] == "malformed"
        assert refusal(await limited("/orgs", body, media), 400)["code"] == "malformed"


async def test_an_address_with_a_name_is_refused_by_name(limited: Callable[..., Any]) -> None:
    for path, fields in ROUTES.items():
        body = json.dumps({"email": f"Ada <ada-{uuid4().hex}@example.com>", **fields}).encode()
        assert refusal(await limited(path, body), 422)["field"] == "email"


def counted_name(body: bytes) -> str:
    policy, scope = policy_of("POST", f"{API}/auth/login"), {"headers": [(b"content-type", b"application/json")]}
    admission._check_body(scope, body, policy.values_max)
    return admission._named(scope, policy, body)


def test_the_gate_counts_the_mailbox_that_the_route_looks_up() -> None:
    """Random bytes around an address: whatever the route would read as a log-in is counted by its look-up form."""
    rng = Random(SEED)
    understood = 0
    for _ in range(3_000):
        body = _mutant(rng)
        try:
            email = LogIn.model_validate(json.loads(body)).email  # as the framework does
        except (ValueError, ValidationError):
            continue
        digest = security.keyed_digest(normalize_email(email).encode())[:16].hex()
        try:
            assert counted_name(body) == digest
            understood += 1
        except BadRequest:
            continue  # refused, so the route never sees it
    assert understood > 200


_PIECES = " \t\n\0<>()\"',;:\\/@.\ufeff\u00a0\u200b\u00ad\u0301\uff21\u3002\u212a\u0130"


def _mutant(rng: Random) -> bytes:
    address = list(rng.choice((VICTIM, *ADDRESSES)))
    for _ in range(rng.randrange(3)):
        address.insert(rng.randrange(len(address) + 1), rng.choice(_PIECES))
    if rng.random() < 0.5:
        address = [c.upper() if rng.random() < 0.3 else c for c in address]
    return rng.choice([*bodies({"password": PASSWORD}, "".join(address))])
