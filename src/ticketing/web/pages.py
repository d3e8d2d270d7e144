"""The HTML pages: one shell, the server's facts inside it, and the script that takes over."""

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

from ticketing.web import facts
from ticketing.web.assets import FOLDER, Assets

ListEvents = Callable[[], Awaitable[Sequence[Mapping[str, Any]]]]
FindEvent = Callable[[str], Awaitable[Mapping[str, Any] | None]]

WITHOUT_FACTS: Mapping[str, Any] = {}

log = structlog.get_logger(__name__)

NOT_PAGES = ("/api", "/health", "/metrics", "/docs", "/redoc", "/openapi.json", "/graphql", "/.well-known", "/static")
SCRIPT_PAGES = {
    "/o/{reference}": ("order", "Your order"),
    "/login": ("login", "Log in"),
    "/account/verify": ("verify", "Confirm your address"),
    "/account/reset": ("reset", "A new password"),
    "/me": ("me", "My tickets"),
    "/console": ("console", "Organizer"),
    "/door": ("door", "The door"),
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
        "frame-ancestors 'none'; form-action 'self'"
    ),
    "Cache-Control": "no-cache",
}
#: The door reads tickets with the camera; no other page has any use for it.
DOOR_HEADERS = {"Permissions-Policy": "camera=(self), geolocation=(), microphone=(), payment=(), usb=()"}


def mount_web(app: FastAPI, *, list_events: ListEvents | None = None, find_event: FindEvent | None = None) -> None:
    """Add the static files, the pages and the friendly 404 to `app`; call it after every other route is there.

    `list_events` and `find_event` give dicts in the shape of the public REST payloads. When they are missing or
    fail, the page is served without facts and its script says what is wrong.
    """
    pages = Pages(Assets(), list_events, find_event)
    routes = app.router.routes
    routes.append(Route("/static/{version}/{path:path}", pages.assets.serve))
    routes.append(Route("/favicon.ico", pages.assets.serve_icon))
    routes.append(Route("/", pages.home))
    routes.append(Route("/e/{event_id}", pages.event))
    for path, (module, title) in SCRIPT_PAGES.items():
        routes.append(Route(path, pages.script_page(module, title)))
    routes.append(LostAddress("/{path:path}", pages.not_found))


class LostAddress(Route):
    """Every GET that nobody else answers; the API's own addresses keep their own 404 and 405."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match pages only, so that this route can never answer for the API."""
        path = scope.get("path", "")
        is_page = scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}
        if not is_page or any(path == root or path.startswith(f"{root}/") for root in NOT_PAGES):
            return Match.NONE, {}
        return super().matches(scope)


class Pages:
    """The page handlers, with what they need to fill the shell."""

    def __init__(self, assets: Assets, list_events: ListEvents | None, find_event: FindEvent | None) -> None:
        self.assets = assets
        self.shell = Template((FOLDER / "index.html").read_text(encoding="utf-8"))
        self.list_events = list_events
        self.find_event = find_event
        self.preload = {name: self._preload(name) for name in ("home", "event", "lost", *_script_modules())}

    async def home(self, request: Request) -> Response:
        """Answer `/` with the events as plain cards."""
        events: Any = await _try(self.list_events) if self.list_events else WITHOUT_FACTS
        query = request.query_params.get("q", "")[:200]
        return self.page("home", "Events", facts.event_list(events, query) if events is not WITHOUT_FACTS else "")

    async def event(self, request: Request) -> Response:
        """Answer `/e/{id}` with the event's facts, or with the friendly 404."""
        find = self.find_event
        if find is None:
            return self.page("event", "Event")
        event_id = request.path_params["event_id"]
        found = await _try(lambda: find(event_id))
        if found is None:
            return await self.not_found(request)
        about = str(found.get("description") or "")[:160] if found else ""
        return self.page("event", found.get("title", "Event"), facts.event_page(found) if found else "", about=about)

    def script_page(self, module: str, title: str) -> Callable[[Request], Awaitable[Response]]:
        """Make the handler of a page whose content is for one person only and therefore drawn by script."""

        async def show(request: Request) -> Response:
            answer = self.page(module, title)
            answer.headers.update(DOOR_HEADERS if module == "door" else {})
            return answer

        return show

    async def not_found(self, request: Request) -> Response:
        """Answer an address that leads nowhere."""
        return self.page("lost", "Nothing here", facts.not_found_page(), status=404)

    def page(self, module: str, title: str, main: str = "", *, about: str = "", status: int = 200) -> HTMLResponse:
        """Fill the shell; `main` is escaped already, `title` and `about` are not."""
        body = self.shell.substitute(
            title=f"{escape(title)} · Ticketing",
            description=escape(about or "Tickets with a live seat map."),
            assets=self.assets.prefix,
            preload=self.preload[module],
            main=main,
        )
        return HTMLResponse(body, status_code=status, headers=HEADERS)

    def _preload(self, module: str) -> str:
        # All modules of a page at once, instead of one round trip per level of imports.
        names = dict.fromkeys(self.assets.modules_of("js/main.js") + self.assets.modules_of(f"js/pages/{module}.js"))
        return "\n".join(f'<link rel="modulepreload" href="{self.assets.prefix}/{name}">' for name in names)


def _script_modules() -> list[str]:
    return [module for module, _ in SCRIPT_PAGES.values()]


async def _try(ask: Callable[[], Awaitable[Any]]) -> Any:
    """Ask for facts; a failure gives `WITHOUT_FACTS`: the page still comes, without them."""
    try:
        return await ask()
    except Exception:
        # The page is the last thing that may fail: its script asks the API again and explains what is wrong.
        log.warning("page_without_facts", exc_info=True)
        return WITHOUT_FACTS
