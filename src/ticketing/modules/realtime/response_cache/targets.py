"""What the cache serves: the routes, and the requests that one cached response answers.

The key of a response is its path and the parameters that its route reads, normalized. Other parameters, such as those
that links from advertisements carry, neither miss the cache nor fill it. A request with a parameter of many values (a
cursor, a section, a period of time) takes the ordinary route.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl
from uuid import UUID

from ticketing.modules import events

API = "/api/v1/events"
PAGE = "/e/"

#: Requests with a longer address take the ordinary route.
ADDRESS_LENGTH_MAX = 500
#: Rows of a page of a list; see `PageQuery`.
LIMIT = 20
ALL_EVENTS = events.EventQuery(sort="starts_at")

Parameters = dict[str, str]


@dataclass(frozen=True, slots=True)
class CachedRoute:
    """A route whose responses are cached."""

    #: In metrics.
    name: str
    #: The template that metrics and the access log name.
    path: str
    #: Whether every message about the event changes it. Otherwise those of FACTS do, and counts are up to a second old.
    follows_seats: bool = False
    #: Whether the ordinary route responds without the database.
    has_fallback: bool = False


EVENT = CachedRoute("event", f"{API}/{{event_id}}", follows_seats=True)
AVAILABILITY = CachedRoute("availability", f"{API}/{{event_id}}/availability", follows_seats=True)
SEATS = CachedRoute("seats", f"{API}/{{event_id}}/seats", follows_seats=True)
SEATMAP = CachedRoute("seatmap", f"{API}/{{event_id}}/seatmap")
LIST = CachedRoute("list", API)
HOME = CachedRoute("home", "/", has_fallback=True)
EVENT_PAGE = CachedRoute("page", f"{PAGE}{{event_id}}", has_fallback=True)

_OF_EVENTS = {"": EVENT, "availability": AVAILABILITY, "seats": SEATS, "seatmap": SEATMAP}


@dataclass(frozen=True, slots=True)
class Target:
    """A cached response: its route, and what its loader has to know."""

    route: CachedRoute
    key: str
    event_id: UUID | None = None
    #: Of the start page.
    words: str = ""
    #: Of the list.
    wanted: events.EventQuery = ALL_EVENTS
    limit: int = LIMIT

    @property
    def is_search(self) -> bool:
        """Whether it has one of the endless number of texts that a client can look for."""
        return bool(self.words) or self.wanted != ALL_EVENTS


def find_target(path: str, query: bytes) -> Target | None:
    """The response that serves this address; None when none can be cached."""
    if len(path) + len(query) > ADDRESS_LENGTH_MAX or not (path == "/" or path.startswith((API, PAGE))):
        return None
    return _find(path, query)


def target_of(event_id: UUID, route: CachedRoute) -> Target:
    """The response of a route about an event."""
    return Target(route, route.path.format(event_id=event_id), event_id)


@lru_cache(maxsize=4096)
def _find(path: str, query: bytes) -> Target | None:
    if path.startswith(PAGE):
        return _about_event(EVENT_PAGE, path.removeprefix(PAGE))
    event_id, _, resource = path.removeprefix(f"{API}/").partition("/")
    about_event = _OF_EVENTS.get(resource)
    if path not in ("/", API) and about_event not in (None, SEATS):
        return _about_event(about_event, event_id)
    parameters = _parse(query)
    if parameters is None:
        return None
    if path == "/":
        return _home(parameters)
    if path == API:
        return _list(parameters)
    is_first = not parameters.keys() & {"section", "status", "cursor"} and _limit(parameters) == LIMIT
    return _about_event(SEATS, event_id) if about_event is SEATS and is_first else None


def _home(parameters: Parameters) -> Target:
    words = parameters.get("q", "")
    return Target(HOME, f"/?{words}" if words else "/", words=words)


def _list(parameters: Parameters) -> Target | None:
    if parameters.keys() & {"from", "to", "cursor"} or (limit := _limit(parameters)) is None:
        return None
    wanted = events.find_query(parameters)
    return None if wanted is None else Target(LIST, f"{API}?{limit}&{wanted}", wanted=wanted, limit=limit)


def _limit(parameters: Parameters) -> int | None:
    """The number of rows of a page; None for any spelling but the usual one."""
    if "limit" not in parameters:
        return LIMIT
    return int(parameters["limit"]) if re.fullmatch(r"[1-9][0-9]?|100", parameters["limit"]) else None


def _about_event(route: CachedRoute | None, event_id: str) -> Target | None:
    try:
        # Another spelling of the id takes the ordinary route, so that no response is cached twice.
        is_canonical = str(UUID(event_id)) == event_id
    except ValueError:
        return None
    return target_of(UUID(event_id), route) if route and is_canonical else None


def _parse(query: bytes) -> Parameters | None:
    """The parameters; None if one has several values, of which the framework would choose."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    parameters = dict(pairs)
    return parameters if len(parameters) == len(pairs) else None
