"""Every text of an organizer keeps its direction in the HTML from the server, and does not reorder the rest."""

from html.parser import HTMLParser

from tests.web.payloads import event_of
from ticketing.infra.http.caching.representations import Representations
from ticketing.web.shell import render_event, render_home

#: Begins in Arabic and ends in Latin, so that it reads wrongly in a paragraph from left to right.
ARABIC = "نغم (Live 2027)"
ISOLATED = f"\u2068{ARABIC}\u2069"
VOID = {"meta", "link", "input", "path", "br", "img"}
ARABIC_EVENT = event_of(
    title=ARABIC,
    description=ARABIC,
    organization={"name": ARABIC, "slug": "tenant"},
    venue={"name": ARABIC, "city": ARABIC, "country": "NL"},
)
for each in ARABIC_EVENT["ticket_types"]:
    each["name"] = ARABIC


class Texts(HTMLParser):
    """Collects the texts of the body and the title, each with whether the element around it has a direction."""

    def __init__(self) -> None:
        super().__init__()
        self._open: list[tuple[str, bool]] = []
        self.found: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self._open.append((tag, ("dir", "auto") in attrs or tag == "bdi"))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            continue

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][0] != "script":
            self.found.append((data, self._open[-1][1]))


def directionless(page: str) -> list[str]:
    """The texts that reorder what is around them, or are reordered by it."""
    parser = Texts()
    parser.feed(page)
    texts = [found for found in parser.found if ARABIC in found[0]]
    assert len(texts) >= 2, "the texts are not on the page"
    return [text for text, has_direction in texts if not has_direction and ARABIC in text.replace(ISOLATED, "")]


def read(representations: Representations) -> str:
    assert representations.plain
    return representations.plain.body.decode()


def test_the_texts_of_an_event_have_a_direction() -> None:
    page = read(render_event(ARABIC_EVENT, site="https://tickets.example"))
    assert directionless(page) == []
    assert f"{ISOLATED}, {ISOLATED}" in page
    assert f"by {ISOLATED}" in page


def test_the_cards_of_events_have_a_direction() -> None:
    page = read(render_home([ARABIC_EVENT], "", site="https://tickets.example"))
    assert directionless(page) == []


def test_the_search_takes_its_direction_from_what_is_typed() -> None:
    page = read(render_home([], ARABIC, site="https://tickets.example"))
    assert 'type="search" dir="auto"' in page
