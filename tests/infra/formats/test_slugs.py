"""Slugs of names in any script."""

import pytest
from pydantic import TypeAdapter

from ticketing.infra.formats.slugs import LENGTH_MAX, slug_of
from ticketing.infra.http.fields import Slug

NAMES = {
    "Köln": "koln",
    "Ko\u0308ln": "koln",
    "  Théâtre de l'Œuvre ": "theatre-de-loeuvre",
    "Groß & Söhne": "gross-sohne",
    "Łódź": "lodz",
    "Ísafjörður Þing": "isafjordur-thing",
    "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}stanbul \N{LATIN SMALL LETTER DOTLESS I}s": "istanbul-is",
    "Большой театр": "bolshoi-teatr",
    "Ελληνική ΣΚΗΝΉ": "elliniki-skini",
    "\uff12\uff10\uff12\uff16": "2026",
    "東京ドーム": "",
    "!!!": "",
}


@pytest.mark.parametrize(("name", "slug"), NAMES.items())
def test_a_name_gives_a_slug(name: str, slug: str) -> None:
    assert slug_of(name) == slug


@pytest.mark.parametrize("name", [*(name for name, slug in NAMES.items() if slug), "ß" * 200, "a " * 100])
def test_it_is_one_that_the_api_accepts(name: str) -> None:
    assert TypeAdapter(Slug).validate_python(slug_of(name))
    assert len(slug_of(name)) <= LENGTH_MAX
