"""A caller of one tenant: sends generated calls, checks the responses, and counts them."""

import asyncio
from random import Random
from typing import Any
from uuid import uuid4

import httpx2
from schemathesis import Case

from tests.fuzz.bridge import Bridge
from tests.fuzz.pool import Pool
from tests.fuzz.response_checks import check_response
from tests.fuzz.size import count
from tests.support.world import API, PASSWORD, Person
from tests.sweeps.full_tenant import FullTenant
from tests.sweeps.openapi.routes import WEBHOOK, all_routes

CALLS = "calls of the API with a documented response"


class Caller:
    """Sends calls as the tenant's admin, or as its buyer with fewer permissions."""

    def __init__(
        self, client: httpx2.AsyncClient, loop: asyncio.AbstractEventLoop, own: FullTenant, other: FullTenant
    ) -> None:
        self.bridge = Bridge(client, loop)
        self.own, self.other = own, other
        self.pool = Pool(own, other)

    def call(self, case: Case[Any], rng: Random) -> httpx2.Response:
        """Fill the case with existing ids, send it, and check the response. Raises if a check fails."""
        self.pool.fill(case, rng)
        route = all_routes()[f"{case.method} {case.path.removeprefix(API)}"]
        person = rng.choices([self.own.admin, self.own.buyer], [75, 25])[0]
        # Webhooks are parsed only if they are signed. Half of them are, so that both ways are tested.
        is_signed = route.name == WEBHOOK and rng.random() < 0.5
        response = self.bridge.send(case, _headers(case, person, rng), is_signed=is_signed)
        check_response(route, case, response)
        self._learn(response, person)
        count(CALLS)
        count(f"of them with status {response.status_code // 100}xx")
        return response

    def _learn(self, response: httpx2.Response, person: Person) -> None:
        if response.status_code == 201 and "id" in (created := response.json()["data"]):
            self.pool.created.add(created["id"])
        # Some calls end the sessions of their caller.
        if response.status_code == 401:
            self._log_in(person)

    def _log_in(self, person: Person) -> None:
        body = {"email": person.email, "password": PASSWORD}
        response = self.bridge.wait_for(self.bridge.client.post(f"{API}/auth/login", json=body))
        person.token = response.json()["data"]["access_token"]


def _headers(case: Case[Any], person: Person, rng: Random) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {person.token}"}
    # Mostly a new key, sometimes the generated one or none.
    if case.method == "POST" and rng.random() < 0.9:
        headers["Idempotency-Key"] = uuid4().hex
    return headers
