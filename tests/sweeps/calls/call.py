"""Examples of requests: a call that succeeds for every route, used by all sweeps. A new route needs one."""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import httpx2

from tests.support.world import Person, sign
from tests.sweeps.full_tenant import FullTenant
from tests.sweeps.openapi.routes import all_routes


@dataclass(frozen=True)
class Call:
    """A request that succeeds if it is sent once, unchanged."""

    caller: Person | None
    ids: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    query: Mapping[str, str] = field(default_factory=dict)
    is_signed: bool = False
    route: str = ""

    @property
    def method(self) -> str:
        return self.route.split()[0]

    @property
    def path(self) -> str:
        return all_routes()[self.route].path.format_map(self.ids)

    @property
    def content(self) -> bytes | None:
        # `ensure_ascii` allows lone surrogates, which are among the invalid values.
        return None if self.body is None else json.dumps(self.body).encode()


CallBuilder = Callable[[FullTenant], Awaitable[Call]]

EXAMPLES: dict[str, CallBuilder] = {}


def example(route: str) -> Callable[[CallBuilder], CallBuilder]:
    """Register the example of a route. A second one for the same route adds " (a description)" to its name."""

    def register(build: CallBuilder) -> CallBuilder:
        EXAMPLES[route] = build
        return build

    return register


def examples_of(route: str) -> Iterator[CallBuilder]:
    """The examples of a route, at least one. Fails for a route without examples."""
    builders = [build for name, build in EXAMPLES.items() if name.partition(" (")[0] == route]
    assert builders, f"{route} has no example: add one in tests/sweeps/calls"
    yield from builders


async def build_call(build: CallBuilder, tenant: FullTenant) -> Call:
    """Build the call, after creating the resources that it needs."""
    name = next(name for name, known in EXAMPLES.items() if known is build).partition(" (")[0]
    return replace(await build(tenant), route=name)


async def send(
    client: httpx2.AsyncClient,
    call: Call,
    *,
    content: bytes | None = None,
    headers: Mapping[str, str | bytes | None] | None = None,
    path: str | None = None,
) -> httpx2.Response:
    """Send the call with changes; a header that is None is omitted."""
    raw = call.content if content is None else content
    own: dict[str, str | bytes | None] = {
        "Authorization": f"Bearer {call.caller.token}" if call.caller else None,
        "Idempotency-Key": uuid4().hex if call.method == "POST" else None,
        "Content-Type": "application/json" if raw is not None else None,
        **(sign(raw) if call.is_signed and raw is not None else {}),
        **(headers or {}),
    }
    # As bytes, because some of the tested headers are not ASCII.
    sent = [(name.encode(), _bytes(value)) for name, value in own.items() if value is not None]
    return await client.request(call.method, path or call.path, params=dict(call.query), content=raw, headers=sent)


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()
