"""One request that succeeds for every route: whoever adds a route adds its example, and all sweeps take it up."""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import httpx2

from tests.support.world import Person, sign
from tests.sweeps.full_tenant import Stage
from tests.sweeps.openapi.routes import all_routes


@dataclass(frozen=True)
class Call:
    """A request that is ready to be sent, once: it succeeds when it is sent as it is."""

    by: Person | None
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
        # `ensure_ascii` lets half a surrogate pair through, which is one of the things to be tried.
        return None if self.body is None else json.dumps(self.body).encode()


Maker = Callable[[Stage], Awaitable[Call]]

EXAMPLES: dict[str, Maker] = {}


def example(route: str) -> Callable[[Maker], Maker]:
    """Register a maker under its route's name; a second one for the same route adds " (in words)"."""

    def keep(maker: Maker) -> Maker:
        EXAMPLES[route] = maker
        return maker

    return keep


def examples_of(route: str) -> Iterator[Maker]:
    """The makers of a route, at least one. Fails for a route that has none."""
    makers = [maker for name, maker in EXAMPLES.items() if name.partition(" (")[0] == route]
    assert makers, f"{route} has no example: write one in tests/sweeps, so that it is swept"
    yield from makers


async def make(maker: Maker, stage: Stage) -> Call:
    """The call, with all that has to be there before it."""
    name = next(name for name, known in EXAMPLES.items() if known is maker).partition(" (")[0]
    return replace(await maker(stage), route=name)


async def send(
    client: httpx2.AsyncClient,
    call: Call,
    *,
    content: bytes | None = None,
    headers: Mapping[str, str | bytes | None] | None = None,
    path: str | None = None,
) -> httpx2.Response:
    """Send the call with something changed; a header that is None is left out."""
    raw = call.content if content is None else content
    own: dict[str, str | bytes | None] = {
        "Authorization": f"Bearer {call.by.token}" if call.by else None,
        "Idempotency-Key": uuid4().hex if call.method == "POST" else None,
        "Content-Type": "application/json" if raw is not None else None,
        **(sign(raw) if call.is_signed and raw is not None else {}),
        **(headers or {}),
    }
    # Bytes throughout: some of the headers that are tried are no ASCII.
    sent = [(name.encode(), _bytes(value)) for name, value in own.items() if value is not None]
    return await client.request(call.method, path or call.path, params=dict(call.query), content=raw, headers=sent)


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()
