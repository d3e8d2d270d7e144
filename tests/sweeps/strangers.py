"""The people of another tenant, and what they make of somebody else's request."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import httpx2

from tests.sweeps.calls.call import Call
from tests.sweeps.full_tenant import Stage

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
#: What a path parameter may be called. A new one has to be added to `reading_calls.known_ids`, or here with a reason.
NO_TENANTS_ID = {
    "provider": "a word that everybody knows",
    "reference": "opens an order only together with the buyer's e-mail address; has a test of its own",
}


@dataclass(frozen=True)
class Stranger:
    """Somebody who calls, by what stands in the Authorization header."""

    name: str
    authorization: str | None

    @property
    def is_person(self) -> bool:
        return (self.authorization or "").startswith("Bearer")

    @property
    def headers(self) -> Mapping[str, str | None]:
        return {"Authorization": self.authorization}


def strangers_from(home: Stage) -> list[Stranger]:
    """Everybody whom `home` can send out, and nobody."""
    people = {"admin": home.admin, "staff": home.staff, "scanner": home.scanner, "buyer": home.buyer}
    return [
        *(Stranger(name, f"Bearer {person.token}") for name, person in people.items()),
        Stranger("machine", f"ApiKey {home.key['key']}"),
        Stranger("admin's machine", f"ApiKey {home.admin_key['key']}"),
        Stranger("device", f"Device {home.device['token']}"),
        Stranger("nobody", None),
    ]


def ids_in(call: Call, kept: set[str]) -> list[str]:
    """Every id that the request carries, in its path, query or body, in order; without those that are `kept`."""
    text = f"{call.path} {call.query} {call.body}"
    return list(dict.fromkeys(found for found in UUID.findall(text) if found not in kept))


def with_unknown_ids(call: Call, ids: list[str]) -> tuple[Call, dict[str, str]]:
    """The same request about things that do not exist, and which new id stands for which old one."""
    swapped = {old: str(uuid4()) for old in ids}
    return replace(
        call, ids=_swap(dict(call.ids), swapped), query=_swap(call.query, swapped), body=_swap(call.body, swapped)
    ), swapped


def one_by_one(mine: Call, theirs: Call) -> Iterator[tuple[Call, Call, dict[str, str]]]:
    """My own request with one of its ids at a time made another's, and the same with an id that does not exist.

    Both calls are of one example, so their ids stand in the same order. An id that both have is nobody's.
    """
    pairs = list(zip(_all_ids(mine), _all_ids(theirs), strict=True))
    for own, other in dict.fromkeys(pair for pair in pairs if pair[0] != pair[1]):
        unknown, _ = with_unknown_ids(mine, [own])
        crossed = replace(
            mine,
            ids=_swap(dict(mine.ids), {own: other}),
            query=_swap(mine.query, {own: other}),
            body=_swap(mine.body, {own: other}),
        )
        [new] = set(_all_ids(unknown)) - set(_all_ids(mine))
        yield crossed, unknown, {other: new}


def _all_ids(call: Call) -> list[str]:
    return UUID.findall(f"{call.path} {call.query} {call.body}")


def _swap(value: Any, swapped: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return swapped.get(value, value)
    if isinstance(value, list):
        return [_swap(item, swapped) for item in value]
    if isinstance(value, Mapping):
        return {name: _swap(item, swapped) for name, item in value.items()}
    return value


def impression(response: httpx2.Response, swapped: Mapping[str, str]) -> tuple[int, Any, dict[str, str]]:
    """All that the caller can tell of an answer: status, body and headers, with ids and correlation taken out."""
    text = response.text
    for number, pair in enumerate(swapped.items()):
        for each in pair:
            text = text.replace(each, f"<id {number}>")
    text = text.replace(response.headers["X-Correlation-ID"], "<correlation>")
    headers = {k: v for k, v in response.headers.items() if k not in {"x-correlation-id", "content-length", "date"}}
    return response.status_code, text, headers


def names_in(value: Any) -> Iterator[str]:
    """Every field name of a body, however deep."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield name
            yield from names_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from names_in(item)
