"""Finds a route by the segments of its path, where the framework tries one pattern after the other.

The framework's routers stay the definition: the table is made from them, and a request that it does not know (another
method, a mounted application, an unknown path) goes on to them, which respond with 404 or 405 as before.
"""

from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

#: Stands for the segments with a parameter. No segment equals it.
_ANY = "/"


class _Entry:
    """A route for one method, and the names of its parameters by the position of their segment."""

    def __init__(self, order: int, context: Any, method: str, segments: Sequence[str]) -> None:
        self.order, self.method = order, method
        self.app: ASGIApp = context.app
        self.route, self.endpoint = context.original_route, context.endpoint
        self.segments = [_ANY if "{" in segment else segment for segment in segments]
        self.parameters = [(at, segment[1:-1]) for at, segment in enumerate(segments) if "{" in segment]


class _Node:
    """The entries of the paths that end here, by method, and the next segments."""

    def __init__(self) -> None:
        self.entries: dict[str, _Entry] = {}
        self.next: dict[str, _Node] = {}

    def add(self, entry: _Entry) -> None:
        node = self
        for segment in entry.segments:
            node = node.next.setdefault(segment, _Node())
        node.entries.setdefault(entry.method, entry)

    def find(self, method: str, segments: Sequence[str], at: int = 0) -> Iterator[_Entry]:
        """Yield every entry that matches: usually one."""
        if at == len(segments):
            if (entry := self.entries.get(method)) is not None:
                yield entry
            return
        for step in (segments[at], _ANY):
            if (node := self.next.get(step)) is not None and segments[at]:
                yield from node.find(method, segments, at + 1)


class RouteTable:
    """ASGI middleware directly in front of the framework's handling of exceptions and its router."""

    def __init__(self, app: ASGIApp, routes_of: FastAPI) -> None:
        self.app, self._framework = app, routes_of
        self._root: _Node | None = None
        self._exception_handlers: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._find(scope) if scope["type"] == "http" else None
        if found is None:
            await self.app(scope, receive, send)
            return
        entry, segments = found
        # What the framework's middleware and routers would have set.
        scope["path_params"] = {name: segments[at] for at, name in entry.parameters}
        scope["route"], scope["endpoint"] = entry.route, entry.endpoint
        scope["router"] = self._framework.router
        scope["starlette.exception_handlers"] = self._exception_handlers
        async with AsyncExitStack() as stack:
            scope["fastapi_middleware_astack"] = stack
            await entry.app(scope, receive, send)

    def _find(self, scope: Scope) -> tuple[_Entry, list[str]] | None:
        if scope.get("root_path"):
            return None
        if self._root is None:
            self._root = self._build()
        segments = scope["path"].split("/")[1:]
        entries = list(self._root.find(scope["method"], segments))
        if not entries:
            return None
        return entries[0] if len(entries) == 1 else min(entries, key=lambda entry: entry.order), segments

    def _build(self) -> _Node:
        """Make the table at the first request, when all routes have been added."""
        handlers = {key: handler for key, handler in self._framework.exception_handlers.items() if key is not Exception}
        middleware = ExceptionMiddleware(self.app, handlers)
        self._exception_handlers = (middleware._exception_handlers, middleware._status_handlers)
        root, others = _Node(), list[BaseRoute]()
        for order, context in enumerate(iter_route_contexts(self._framework.routes)):
            effective = context._effective_route
            path = _simple_path(context)
            if path is None or any(_overlaps(other, path) for other in others):
                others.append(effective if isinstance(effective, BaseRoute) else context.route)
                continue
            for method in context.methods or ():
                root.add(_Entry(order, _with_app(context), method, path.split("/")[1:]))
        return root


def _with_app(context: RouteContext) -> Any:
    """The route as it was included, with its application, or the route itself if it was added directly."""
    effective: Any = context._effective_route
    if isinstance(effective, APIRoute):
        effective.original_route = effective  # type: ignore[attr-defined]
    return effective


def _simple_path(context: RouteContext) -> str | None:
    """The path of an API route whose parameters are whole segments of any text; None for any other route."""
    path = context.path_format
    if not isinstance(context.original_route, APIRoute) or path is None or not path.startswith("/"):
        return None
    parameters = [segment for segment in path.split("/") if "{" in segment or "}" in segment]
    convertors = context.param_convertors
    is_simple = all(
        segment == f"{{{segment[1:-1]}}}" and convertors[segment[1:-1]].regex == "[^/]+" for segment in parameters
    )
    return path if is_simple else None


def _overlaps(other: BaseRoute, path: str) -> bool:
    """Whether an earlier route that the table does not have could match this path, which it would then precede."""
    pattern = getattr(other, "path_regex", None)
    return pattern is None or pattern.match(path) is not None
