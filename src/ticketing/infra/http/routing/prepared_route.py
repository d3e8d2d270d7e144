"""A route whose dependencies are put in order once, when it is added, instead of at each request.

The framework's handler walks through the tree of dependencies of each request, builds a response for headers that no
dependency sets, and starts a thread for every class. This one does what the route needs, in the same order. Whatever is
not plainly right (a missing header, another content type, a value that is invalid) goes on to the framework's handler
before anything has been executed, so there is one source of errors.
"""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.dependencies.utils import request_body_to_args, request_params_to_args
from fastapi.routing import APIRoute, _effective_route_context_var, serialize_response
from fastapi.utils import is_body_allowed_for_status_code
from starlette.requests import Request
from starlette.responses import Response

from ticketing.infra.http.routing.call_plan import Inputs, Plan, make_plan

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

_UNREADABLE = object()


class PreparedRoute(APIRoute):
    """An APIRoute that the framework documents and checks, and whose ordinary requests take the shorter way."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()
        # As the framework's: a route that was included has the dependencies of the routers around it.
        context = _effective_route_context_var.get()
        route = context if context is not None and context.original_route is self else self
        plan = make_plan(route)
        return handle if plan is None else _handler(route, plan, handle)


def _handler(route: Any, plan: Plan, handle_unusual: Handler) -> Handler:
    provider, render = route.dependency_overrides_provider, _renderer(route)

    async def handle(request: Request) -> Response:
        if provider is not None and provider.dependency_overrides:
            return await handle_unusual(request)
        inputs = await _read(request, plan, route)
        if inputs is None:
            return await handle_unusual(request)
        result = await plan.call(request, inputs)
        return result if isinstance(result, Response) else await render(result)

    return handle


async def _read(request: Request, plan: Plan, route: Any) -> Inputs | None:
    """The validated parameters and bodies of all calls; None if anything about them is unusual."""
    body = None
    if route.body_field is not None and (body := await _json_body(request)) is _UNREADABLE:
        return None
    inputs: Inputs = []
    for call in plan.calls:
        given: dict[str, Any] = {}
        dependant = call.dependant
        for fields, received in call.sources:
            values, errors = request_params_to_args(fields, received(request))
            if errors:
                return None
            given |= values
        if dependant.body_params:
            values, errors = await request_body_to_args(dependant.body_params, body, route._embed_body_fields)
            if errors:
                return None
            given |= values
        inputs.append(given)
    return inputs


async def _json_body(request: Request) -> Any:
    if [value for name, value in request.scope["headers"] if name == b"content-type"] != [b"application/json"]:
        return _UNREADABLE
    body = await request.body()  # the request keeps it for the framework's handler
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return _UNREADABLE


def _renderer(route: Any) -> Callable[[Any], Coroutine[Any, Any, Response]]:
    """Render what the endpoint returns, as the framework does."""
    is_json = route.response_field is not None and not isinstance(route.response_class, type)
    status = route.status_code or 200
    response_class = route.response_class if isinstance(route.response_class, type) else route.response_class.value
    rules = {
        "include": route.response_model_include,
        "exclude": route.response_model_exclude,
        "by_alias": route.response_model_by_alias,
        "exclude_unset": route.response_model_exclude_unset,
        "exclude_defaults": route.response_model_exclude_defaults,
        "exclude_none": route.response_model_exclude_none,
    }

    async def render(result: Any) -> Response:
        content = await serialize_response(
            field=route.response_field, response_content=result, dump_json=is_json, **rules
        )
        if is_json:
            response = Response(content, status, media_type="application/json")
        else:
            response = response_class(content, status)
        if not is_body_allowed_for_status_code(response.status_code):
            response.body = b""
        return response

    return render
