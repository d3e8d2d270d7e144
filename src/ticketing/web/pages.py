"""The HTML pages: one shell, content rendered on the server, and the script that takes over in the browser."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from html import escape
from string import Template
from typing import Any

import structlog
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from ticketing.web import prerender
from ticketing.web.assets import FOLDER, Assets

ListEvents = Callable[[], Awaitable[Sequence[Mapping[str, Any]]]]
FindEvent = Callable[[str], Awaitable[Mapping[str, Any] | None]]

#: Stands for data that could not be loaded; distinct from "there is none".
UNAVAILABLE: Mapping[str, Any] = {}

log = structlog.get_logger(__name__)

NOT_PAGES = ("/api", "/health", "/metrics", "/docs", "/redoc", "/openapi.json", "/graphql", "/.well-known", "/static")
#: Pages without server-rendered content: path, module in js/pages, and title.
SCRIPT_PAGES = {
    "/o/{reference}": ("order", "Your order"),
    "/login": ("login", "Log in"),
    "/account/verify": ("verify-email", "Confirm your address"),
    "/account/invitation": ("invitation", "An invitation"),
    "/account/reset": ("reset-password", "A new password"),
    "/me": ("me", "My tickets"),
    "/console": ("console", "Organizer"),
    "/door": ("door", "The door"),
}
PAGE_MODULES = ("home", "event", *(module for module, _ in SCRIPT_PAGES.values()))
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
        "frame-ancestors 'none'; form-action 'self'"
    ),
    "Cache-Control": "no-cache",
}
#: The door page scans tickets with the camera; every other page is denied access to it.
DOOR_HEADERS = {"Permissions-Policy": "camera=(self), geolocation=(), microphone=(), payment=(), usb=()"}


def mount_web(app: FastAPI, *, list_events: ListEvents | None = None, find_event: FindEvent | None = None) -> None:
    """Add the static files, the pages and the 404 page to `app`; call this after all other routes are registered.

    `list_events` and `find_event` return dicts in the shape of the public REST payloads. If one is missing or
    fails, its page is served without content: the script fetches the data itself and reports the error.
    """
    pages = Pages(Assets(), list_events, find_event)
    routes = app.router.routes
    routes.append(Route("/static/{version}/{path:path}", pages.assets.serve))
    routes.append(Route("/favicon.ico", pages.assets.serve_icon))
    routes.append(Route("/", pages.home))
    routes.append(Route("/e/{event_id}", pages.event))
    for path, (module, title) in SCRIPT_PAGES.items():
        routes.append(Route(path, pages.script_page(module, title)))
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
    """The page handlers and what they fill the shell with."""

    def __init__(self, assets: Assets, list_events: ListEvents | None, find_event: FindEvent | None) -> None:
        self.assets = assets
        self.shell = Template((FOLDER / "index.html").read_text(encoding="utf-8"))
        self.list_events = list_events
        self.find_event = find_event
        self.preload_links = {module: self._preload_links(module) for module in (None, *PAGE_MODULES)}

    async def home(self, request: Request) -> Response:
        """Serve `/` with the events as static cards."""
        events: Any = await _load(self.list_events) if self.list_events else UNAVAILABLE
        query = request.query_params.get("q", "")[:200]
        content = prerender.event_list(events, query) if events is not UNAVAILABLE else ""
        return self.page("home", "Events", content)

    async def event(self, request: Request) -> Response:
        """Serve `/e/{id}` with the event's description and prices, or the 404 page."""
        find = self.find_event
        if find is None:
            return self.page("event", "Event")
        event_id = request.path_params["event_id"]
        event = await _load(lambda: find(event_id))
        if event is None:
            return await self.not_found(request)
        if event is UNAVAILABLE:
            return self.page("event", "Event")
        description = str(event.get("description") or "")[:160]
        return self.page("event", event.get("title", "Event"), prerender.event_page(event), description=description)

    def script_page(self, module: str, title: str) -> Callable[[Request], Awaitable[Response]]:
        """Make the handler of a page whose content is private to one user and therefore rendered by script."""

        async def show(request: Request) -> Response:
            response = self.page(module, title)
            response.headers.update(DOOR_HEADERS if module == "door" else {})
            return response

        return show

    async def not_found(self, request: Request) -> Response:
        """Serve the 404 page."""
        return self.page(None, "Nothing here", prerender.not_found_page(), status=404)

    def page(
        self, module: str | None, title: str, main: str = "", *, description: str = "", status: int = 200
    ) -> HTMLResponse:
        """Fill the shell. `main` is HTML and inserted as is; `title` and `description` are text and escaped here."""
        body = self.shell.substitute(
            title=f"{escape(title)} · Ticketing",
            description=escape(description or "Tickets with a live seat map."),
            assets=self.assets.prefix,
            preload=self.preload_links[module],
            main=main,
        )
        return HTMLResponse(body, status_code=status, headers=HEADERS)

    def _preload_links(self, module: str | None) -> str:
        # One round trip for all modules of a page instead of one per level of imports.
        names = self.assets.modules_of("js/main.js")
        if module is not None:
            names += self.assets.modules_of(f"js/pages/{module}.js")
        return "\n".join(
            f'<link rel="modulepreload" href="{self.assets.prefix}/{name}">' for name in dict.fromkeys(names)
        )


async def _load(load: Callable[[], Awaitable[Any]]) -> Any:
    """Return what `load` returns, or `UNAVAILABLE` if it raises: the page is served without content."""
    try:
        return await load()
    except Exception:
        # The script fetches the data again and reports the error to the visitor.
        log.warning("prerender_failed", exc_info=True)
        return UNAVAILABLE
