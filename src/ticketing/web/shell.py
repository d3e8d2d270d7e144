"""The shell of every HTML page, filled with the content that is rendered on the server."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from html import escape
from string import Template
from typing import Any

from ticketing.infra.http.caching.representations import Representations, represent
from ticketing.web import prerender
from ticketing.web.assets import FOLDER, Assets

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
#: Characters of a search on the start page; more are ignored.
SEARCH_LENGTH_MAX = 200
CONTENT_TYPE = "text/html; charset=utf-8"
POLICY = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
        "frame-ancestors 'none'; form-action 'self'"
    ),
}


class Shell:
    """The static files, and the HTML around the content of a page."""

    def __init__(self, assets: Assets) -> None:
        self.assets = assets
        self._template = Template((FOLDER / "index.html").read_text(encoding="utf-8"))
        self._preload_links = {module: self._links(module) for module in (None, *PAGE_MODULES)}

    def fill(self, module: str | None, title: str, main: str = "", *, description: str = "") -> str:
        """Fill the shell. `main` is HTML and inserted as is; `title` and `description` are text and escaped here."""
        return self._template.substitute(
            title=f"{escape(title)} · Ticketing",
            description=escape(description or "Tickets with a live seat map."),
            assets=self.assets.prefix,
            preload=self._preload_links[module],
            main=main,
        )

    def _links(self, module: str | None) -> str:
        # One round trip for all modules of a page instead of one per level of imports.
        names = self.assets.modules_of("js/main.js")
        if module is not None:
            names += self.assets.modules_of(f"js/pages/{module}.js")
        return "\n".join(
            f'<link rel="modulepreload" href="{self.assets.prefix}/{name}">' for name in dict.fromkeys(names)
        )


@lru_cache(maxsize=1)
def shell() -> Shell:
    """The shell of this process. The files are read once."""
    return Shell(Assets())


def render_home(events: Sequence[Mapping[str, Any]], words: str) -> Representations:
    """The start page: a card for each of these events that has the words. The events are payloads of the REST API."""
    return _represent(shell().fill("home", "Events", prerender.event_list(events, words[:SEARCH_LENGTH_MAX])))


def render_event(event: Mapping[str, Any]) -> Representations:
    """The page of an event, which is a payload of the REST API: description, prices, availability."""
    description = str(event.get("description") or "")[:160]
    main = prerender.event_page(event)
    return _represent(shell().fill("event", event.get("title", "Event"), main, description=description))


def _represent(page: str) -> Representations:
    return represent(page.encode(), CONTENT_TYPE, POLICY.items())
