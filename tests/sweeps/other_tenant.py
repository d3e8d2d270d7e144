"""The callers of another tenant, and comparison of the responses that they get."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import httpx2

from tests.sweeps.calls.call import Call
from tests.sweeps.full_tenant import FullTenant

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
#: Path parameters that are no id of a tenant's resource. Add a new one to `reads.known_ids`, or here with a reason.
NOT_TENANT_IDS = {
    "provider": "a public constant",
    "token": "of an emailed link, which is accepted by the account of its address only",
    "reference": "finds an order only together with the buyer's email address; has a separate test",
}


@dataclass(frozen=True)
class ForeignCaller:
    """A caller, identified by its Authorization header."""

    name: str
    authorization: str | None

    @property
    def is_user(self) -> bool:
        return (self.authorization or "").startswith("Bearer")

    @property
    def headers(self) -> Mapping[str, str | None]:
        return {"Authorization": self.authorization}


def callers_of(tenant: FullTenant) -> list[ForeignCaller]:
    """A caller for every kind of credentials of the tenant, and one without credentials."""
    people = {"admin": tenant.admin, "staff": tenant.staff, "scanner": tenant.scanner, "buyer": tenant.buyer}
    return [
        *(ForeignCaller(name, f"Bearer {person.token}") for name, person in people.items()),
        ForeignCaller("API key", f"ApiKey {tenant.key['key']}"),
        ForeignCaller("admin API key", f"ApiKey {tenant.admin_key['key']}"),
        ForeignCaller("device", f"Device {tenant.device['token']}"),
        ForeignCaller("anonymous", None),
    ]


def ids_in(call: Call, kept: set[str]) -> list[str]:
    """The ids in the path, query and body of the request, in order, without those in `kept`."""
    text = f"{call.path} {call.query} {call.body}"
    return list(dict.fromkeys(found for found in UUID.findall(text) if found not in kept))


def with_unknown_ids(call: Call, ids: list[str]) -> tuple[Call, dict[str, str]]:
    """The same request with ids that do not exist, and the new id for each old one."""
    swapped = {old: str(uuid4()) for old in ids}
    return replace(
        call, ids=_swap(dict(call.ids), swapped), query=_swap(call.query, swapped), body=_swap(call.body, swapped)
    ), swapped


def with_one_foreign_id(own_call: Call, foreign_call: Call) -> Iterator[tuple[Call, Call, dict[str, str]]]:
    """The own request with one id at a time replaced by the foreign one, and with that id replaced by an unknown one.

    Both calls are from one example, so their ids are in the same order. An id that both have belongs to no tenant.
    """
    pairs = list(zip(_all_ids(own_call), _all_ids(foreign_call), strict=True))
    for own, foreign in dict.fromkeys(pair for pair in pairs if pair[0] != pair[1]):
        unknown, _ = with_unknown_ids(own_call, [own])
        crossed = replace(
            own_call,
            ids=_swap(dict(own_call.ids), {own: foreign}),
            query=_swap(own_call.query, {own: foreign}),
            body=_swap(own_call.body, {own: foreign}),
        )
        [new] = set(_all_ids(unknown)) - set(_all_ids(own_call))
        yield crossed, unknown, {foreign: new}


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


def visible_response(response: httpx2.Response, swapped: Mapping[str, str]) -> tuple[int, Any, dict[str, str]]:
    """All that a caller sees: status, body and headers, without ids and the correlation id."""
    text = response.text
    for number, pair in enumerate(swapped.items()):
        for each in pair:
            text = text.replace(each, f"<id {number}>")
    text = text.replace(response.headers["X-Correlation-ID"], "<correlation>")
    headers = {k: v for k, v in response.headers.items() if k not in {"x-correlation-id", "content-length", "date"}}
    return response.status_code, text, headers


def names_in(value: Any) -> Iterator[str]:
    """The field names of a body at any depth."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield name
            yield from names_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from names_in(item)
