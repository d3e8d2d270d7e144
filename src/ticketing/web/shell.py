"""The shell of every HTML page, filled with the content that is rendered on the server."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from html import escape
from string import Template
from typing import Any, NamedTuple

from ticketing.infra.formats.directions import isolate
from ticketing.infra.http.caching.representations import Representations, represent
from ticketing.infra.system import database_clock
from ticketing.web import descriptions, prerender
from ticketing.web.assets import FOLDER, Assets

_NO_SCRIPT = "needs JavaScript, which is switched off in this browser."


class ScriptPage(NamedTuple):
    """A page that is private to one user, and therefore filled by a script."""

    #: In js/pages.
    module: str
    title: str
    #: What a browser without JavaScript shows.
    need: str


SCRIPT_PAGES = {
    "/o/{reference}": ScriptPage(
        "order",
        "Your order",
        "This page shows an order to the buyer who logs in or names the order's e-mail address. It "
        f"{_NO_SCRIPT} The tickets in the e-mail about the order are valid without this page.",
    ),
    "/login": ScriptPage(
        "login", "Log in", f"Logging in {_NO_SCRIPT} Events and their prices can be read without an account."
    ),
    "/account/verify": ScriptPage("verify-email", "Confirm your address", f"Confirming an address {_NO_SCRIPT}"),
    "/account/invitation": ScriptPage("invitation", "An invitation", f"Answering an invitation {_NO_SCRIPT}"),
    "/account/reset": ScriptPage("reset-password", "A new password", f"Choosing a new password {_NO_SCRIPT}"),
    "/me": ScriptPage(
        "me",
        "My tickets",
        "This page shows orders and holds to the person who has logged in. It "
        f"{_NO_SCRIPT} The tickets in the e-mails about orders are valid without this page.",
    ),
    "/console": ScriptPage("console", "Organizer", f"The organizer's console {_NO_SCRIPT}"),
    "/door": ScriptPage("door", "The door", f"Checking tickets in {_NO_SCRIPT}"),
}
PAGE_MODULES = ("home", "event", *(page.module for page in SCRIPT_PAGES.values()))
DESCRIPTION = "Tickets with a live seat map."
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

    def fill(self, module: str | None, title: str, main: str = "", *, description: str = "", head: str = "") -> str:
        """Fill the shell. `main` and `head` are HTML and inserted as is; `title` and `description` are text."""
        return self._template.substitute(
            title=f"{escape(isolate(title))} · Ticketing",
            description=escape(description or DESCRIPTION),
            assets=self.assets.prefix,
            preload=self._preload_links[module],
            head=head,
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


def render_home(events: Sequence[Mapping[str, Any]], words: str, *, site: str) -> Representations:
    """The start page: the words of a search, and a card for each of its events, which are payloads of the REST API.

    `site`: the base URL of links to the platform.
    """
    main = prerender.event_list(events, words[:SEARCH_LENGTH_MAX])
    head = descriptions.share_tags("Events", DESCRIPTION, f"{site}/")
    return _represent(shell().fill("home", "Events", main, head=head))


def render_event(event: Mapping[str, Any], *, site: str) -> Representations:
    """The page of an event, which is a payload of the REST API: facts, sale, prices, and a description for programs.

    `site`: the base URL of links to the platform.
    """
    now = datetime.fromtimestamp(database_clock.now(), UTC)
    url = event_url(site, str(event["id"]))
    description = descriptions.shorten(prerender.describe_event(event))
    tags = descriptions.share_tags(event["title"], description, url)
    head = f"{tags}\n{descriptions.structured_data(event, url, now)}"
    main = prerender.event_page(event, now)
    return _represent(shell().fill("event", event["title"], main, description=description, head=head))


def event_url(site: str, event_id: str) -> str:
    """The address of an event's page."""
    return f"{site}/e/{event_id}"


def _represent(page: str) -> Representations:
    return represent(page.encode(), CONTENT_TYPE, POLICY.items())
