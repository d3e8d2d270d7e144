"""The HTML pages: one shell, content rendered on the server, and the script that takes over in the browser."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from ticketing.infra.config import get_settings
from ticketing.web import prerender
from ticketing.web.sale_calendar import sale_calendar
from ticketing.web.shell import POLICY, SCRIPT_PAGES, ScriptPage, event_url, render_event, render_home, shell

ListEvents = Callable[[str], Awaitable[Sequence[Mapping[str, Any]]]]
FindEvent = Callable[[str], Awaitable[Mapping[str, Any] | None]]

#: Stands for data that could not be loaded; distinct from "there is none".
UNAVAILABLE: Mapping[str, Any] = {}

log = structlog.get_logger(__name__)

NOT_PAGES = ("/api", "/health", "/metrics", "/docs", "/redoc", "/openapi.json", "/graphql", "/.well-known", "/static")
HEADERS = {**POLICY, "Cache-Control": "no-cache"}
#: The door page scans tickets with the camera; every other page is denied access to it.
DOOR_HEADERS = {"Permissions-Policy": "camera=(self), geolocation=(), microphone=(), payment=(), usb=()"}


def mount_web(
    app: FastAPI, *, site: str, list_events: ListEvents | None = None, find_event: FindEvent | None = None
) -> None:
    """Add the static files, the pages and the 404 page to `app`; call this after all other routes are registered.

    `site`: the base URL of links to the platform.

    `list_events`, which gets the words of a search, and `find_event` return dicts in the shape of the public REST
    payloads. If one is missing or fails, its page is served without content: the script fetches the data itself and
    reports the error.
    """
    pages, assets = Pages(site, list_events, find_event), shell().assets
    routes = app.router.routes
    routes.append(Route("/static/{version}/{path:path}", assets.serve))
    routes.append(Route("/favicon.ico", assets.serve_icon))
    routes.append(Route("/", pages.home))
    routes.append(Route("/e/{event_id}", pages.event))
    routes.append(Route("/e/{event_id}/sale.ics", pages.sale_calendar))
    for path, page in SCRIPT_PAGES.items():
        routes.append(Route(path, pages.script_page(page)))
    routes.append(NotFoundRoute("/{path:path}", pages.not_found))


class NotFoundRoute(Route):
    """Catch-all for GET requests to pages; API paths keep their own 404 and 405 responses."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match pages only, so that this route never responds for the API."""
        path = scope.get("path", "")
        is_page = scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}
        if not is_page or any(path == root or path.startswith(f"{root}/") for root in NOT_PAGES):
            return Match.NONE, {}
        return super().matches(scope)


class Pages:
    """The page handlers. A page whose content is rendered here has an ETag; one that the script fills has none."""

    def __init__(self, site: str, list_events: ListEvents | None, find_event: FindEvent | None) -> None:
        self.site = site
        self.list_events = list_events
        self.find_event = find_event

    async def home(self, request: Request) -> Response:
        """Serve `/` with the events as static cards."""
        list_events, words = self.list_events, request.query_params.get("q", "")
        events: Any = await _load(lambda: list_events(words)) if list_events else UNAVAILABLE
        if events is UNAVAILABLE:
            return _page("home", "Events")
        return render_home(events, words, site=self.site).respond(request)

    async def event(self, request: Request) -> Response:
        """Serve `/e/{id}` with the event's facts, sale and prices, or the 404 page."""
        event = await self._find(request)
        if event is None:
            return await self.not_found(request)
        if event is UNAVAILABLE:
            return _page("event", "Event")
        return render_event(event, site=self.site).respond(request)

    async def sale_calendar(self, request: Request) -> Response:
        """Serve `/e/{id}/sale.ics`: the start of the sale as a calendar entry; the 404 page if it has no start."""
        event = await self._find(request)
        if event is UNAVAILABLE:
            return Response(status_code=503, headers={"Retry-After": "5"})
        if event is None or not event.get("sales_start_at"):
            return await self.not_found(request)
        headers = {"Content-Disposition": 'attachment; filename="sale.ics"', "Cache-Control": "no-cache"}
        file = sale_calendar(event, event_url(self.site, str(event["id"])), get_settings().sender)
        return Response(file, media_type="text/calendar; charset=utf-8", headers=headers)

    async def _find(self, request: Request) -> Any:
        find = self.find_event
        event_id = request.path_params["event_id"]
        return UNAVAILABLE if find is None else await _load(lambda: find(event_id))

    def script_page(self, page: ScriptPage) -> Callable[[Request], Awaitable[Response]]:
        """Make the handler of a page whose content is private to one user and therefore rendered by script."""

        async def show(request: Request) -> Response:
            response = _page(page.module, page.title, prerender.script_page(page.title, page.need))
            response.headers.update(DOOR_HEADERS if page.module == "door" else {})
            return response

        return show

    async def not_found(self, request: Request) -> Response:
        """Serve the 404 page."""
        return _page(None, "Nothing here", prerender.not_found_page(), status=404)


def _page(module: str | None, title: str, main: str = "", *, status: int = 200) -> HTMLResponse:
    return HTMLResponse(shell().fill(module, title, main), status_code=status, headers=HEADERS)


async def _load(load: Callable[[], Awaitable[Any]]) -> Any:
    """Return what `load` returns, or `UNAVAILABLE` if it raises: the page is served without content."""
    try:
        return await load()
    except Exception:
        # The script fetches the data again and reports the error to the visitor.
        log.warning("prerender_failed", exc_info=True)
        return UNAVAILABLE
