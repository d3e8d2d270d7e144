"""The calls of a route in the order in which the framework makes them: each dependency once, then the endpoint."""

import inspect
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from enum import Enum, auto
from typing import Any

from fastapi.dependencies.models import (
    Dependant,
    _get_cache_key,
    _is_async_gen_callable,
    _is_coroutine_callable,
    _is_gen_callable,
)
from fastapi.params import Form
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

#: The validated values of each call, by the names of its parameters.
Inputs = list[dict[str, Any]]


class Unusual(Exception):
    """The route needs something that a plan does not have."""


class _Kind(Enum):
    AWAITED = auto()
    #: Classes only keep their arguments, so they need no thread. The framework gives them one.
    DIRECT = auto()
    IN_THREAD = auto()
    #: A dependency with `yield`, which ends before the response is sent.
    GENERATOR = auto()


class Call:
    """A dependency or the endpoint: the function, and where its arguments come from."""

    def __init__(self, dependant: Dependant, results: list[tuple[str, int]]) -> None:
        self.dependant = dependant
        #: Names of parameters, and the number of the earlier call whose result they are.
        self.results = results
        self.kind = _kind_of(dependant)
        assert dependant.call is not None
        self.function: Any = asynccontextmanager(dependant.call) if self.kind is _Kind.GENERATOR else dependant.call
        self.request_names = [
            name for name in (dependant.request_param_name, dependant.http_connection_param_name) if name
        ]
        self.sources = [(fields, received) for fields, received in _sources(dependant) if fields]


class Plan:
    """All calls; the last one is that of the endpoint."""

    def __init__(self, calls: list[Call]) -> None:
        self.calls = calls

    async def call(self, request: Request, inputs: Inputs) -> Any:
        """Make all calls; what the endpoint returns. Raises whatever they raise."""
        results: list[Any] = []
        for call, arguments in zip(self.calls, inputs, strict=True):
            for name, number in call.results:
                arguments[name] = results[number]
            for name in call.request_names:
                arguments[name] = request
            if call.kind is _Kind.AWAITED:
                result = await call.function(**arguments)
            elif call.kind is _Kind.DIRECT:
                result = call.function(**arguments)
            elif call.kind is _Kind.GENERATOR:
                stack = request.scope["fastapi_function_astack"]
                result = await stack.enter_async_context(call.function(**arguments))
            else:
                result = await run_in_threadpool(call.function, **arguments)
            results.append(result)
        return results[-1]


def make_plan(route: Any) -> Plan | None:
    """The plan of a route; None if it streams, has a form, or sets headers on a response that it does not return."""
    endpoint = route.dependant.call
    if route.is_sse_stream or route.is_json_stream or _is_gen_callable(endpoint) or _is_async_gen_callable(endpoint):
        return None
    if route.body_field is not None and isinstance(route.body_field.field_info, Form):
        return None
    calls: list[Call] = []
    try:
        _add(route.dependant, calls, {})
    except Unusual:
        return None
    return Plan(calls)


def _add(dependant: Dependant, calls: list[Call], known: dict[Any, int]) -> int:
    """Add the call behind those that it depends on. Returns its number."""
    results = []
    for needed in dependant.dependencies:
        key = _get_cache_key(dependant=needed)
        number = known.get(key) if needed.use_cache else None
        if number is None:
            number = _add(needed, calls, known)
            known.setdefault(key, number)
        if needed.name is not None:
            results.append((needed.name, number))
    calls.append(Call(dependant, results))
    return len(calls) - 1


def _kind_of(dependant: Dependant) -> _Kind:
    is_unusual = (
        dependant.websocket_param_name
        or dependant.response_param_name
        or dependant.background_tasks_param_name
        or dependant.security_scopes_param_name
        or dependant.concurrency is not None
        or _is_gen_callable(dependant.call)
    )
    if is_unusual:
        raise Unusual
    if _is_async_gen_callable(dependant.call):
        if dependant.scope != "function":
            raise Unusual
        return _Kind.GENERATOR
    if _is_coroutine_callable(dependant.call):
        return _Kind.AWAITED
    return _Kind.DIRECT if inspect.isclass(dependant.call) else _Kind.IN_THREAD


def _sources(dependant: Dependant) -> list[tuple[list[Any], Callable[[Request], Mapping[str, Any]]]]:
    return [
        (dependant.path_params, lambda request: request.path_params),
        (dependant.query_params, lambda request: request.query_params),
        (dependant.header_params, lambda request: request.headers),
        (dependant.cookie_params, lambda request: request.cookies),
    ]
