"""Somebody of one tenant who sends what was generated, and counts it."""

import asyncio
from random import Random
from typing import Any
from uuid import uuid4

import httpx2
from schemathesis import Case

from tests.fuzz.bridge import Bridge
from tests.fuzz.judge import judge
from tests.fuzz.pool import Pool
from tests.fuzz.size import count
from tests.support.world import API, PASSWORD, Person
from tests.sweeps.full_tenant import Stage
from tests.sweeps.openapi.routes import WEBHOOK, all_routes

CALLS = "calls of the API, each answered as documented"


class Caller:
    """A tenant's admin, and now and then its buyer, whom the same things are not open to."""

    def __init__(self, client: httpx2.AsyncClient, loop: asyncio.AbstractEventLoop, own: Stage, other: Stage) -> None:
        self.bridge = Bridge(client, loop)
        self.own, self.other = own, other
        self.pool = Pool(own, other)

    def call(self, case: Case[Any], rng: Random) -> httpx2.Response:
        """Fill the case with what exists, send it, and judge the answer. Raises when that is not as it should be."""
        self.pool.fill(case, rng)
        route = all_routes()[f"{case.method} {case.path.removeprefix(API)}"]
        person = rng.choices([self.own.admin, self.own.buyer], [75, 25])[0]
        # A webhook is read when it is signed: half of them are, so that what is behind the signature is tried too.
        is_signed = route.name == WEBHOOK and rng.random() < 0.5
        response = self.bridge.send(case, _headers(case, person, rng), is_signed=is_signed)
        judge(route, case, response)
        self._learn(response, person)
        count(CALLS)
        count(f"of them answered {response.status_code // 100}xx")
        return response

    def _learn(self, response: httpx2.Response, person: Person) -> None:
        if response.status_code == 201 and "id" in (made := response.json()["data"]):
            self.pool.made.add(made["id"])
        # One of the calls ends the log-ins of whoever sends it.
        if response.status_code == 401:
            self._log_in(person)

    def _log_in(self, person: Person) -> None:
        body = {"email": person.email, "password": PASSWORD}
        answer = self.bridge.wait_for(self.bridge.client.post(f"{API}/auth/login", json=body))
        person.token = answer.json()["data"]["access_token"]


def _headers(case: Case[Any], person: Person, rng: Random) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {person.token}"}
    # A key of one's own, now and then none, and now and then what was generated.
    if case.method == "POST" and rng.random() < 0.9:
        headers["Idempotency-Key"] = uuid4().hex
    return headers
