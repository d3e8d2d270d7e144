"""Every text that a client can send arrives composed (NFC) and visible. The sweep reads the types of all routes."""

import unicodedata
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel, EmailStr, TypeAdapter, ValidationError

from ticketing.infra.config import get_settings
from ticketing.main import create_app
from ticketing.modules.venues.pretix.parts import Frame, Row, Zone

#: Texts that stay as they were sent, by route and by name, with the reason. Headers are opaque too.
OPAQUE = {
    "/static-docs/{name} name": "a file's name",
    "/orders/by-reference/{reference} reference": "read by references.find_reference",
    "/orders/by-reference/{reference} email": "read by find_email",
    "/payments/webhooks/{provider} provider": "one of a few names",
    "/mock-pay/{provider_ref} provider_ref": "the provider's name of a payment",
    "/invitations/{token} token": "compared by its digest",
    "/invitations/{token}/accept token": "compared by its digest",
    "/orgs/{org_id}/feed types": "compared with topics",
    "cursor": "made by the platform",
    "refresh_token": "made by the platform",
    "token": "compared by its digest",
    "code": "of a ticket or of an authenticator: signed or hashed",
    "password": "normalized by passwords.normalize_password, which keeps all characters",
    "current_password": "as a password",
    "new_password": "as a password",
}
#: Each has another form in NFC.
DECOMPOSED = ("Cafe\u0301", "a\u0302\u0323", "\u212b", "\u1112\u1161\u11ab", "cafe\u0301@example.com")
INVISIBLE = (
    " ",
    "\u200b",
    "\u200d\u200c",
    "\ufe0f",
    "\u0301",
    "\xad",
    "\u2060\ufeff",
    "\u3164",
    "\u2800",
    "\x07",
    "\u202e",
)


class Text:
    """A text in a parameter or a body, and the type that reads it."""

    def __init__(self, name: str, annotation: Any, metadata: tuple[Any, ...]) -> None:
        self.name = name
        self._adapter = TypeAdapter(Annotated[annotation, *metadata] if metadata else annotation)

    def read(self, value: str) -> object:
        """The value as the route gets it; None if it is refused."""
        try:
            return self._adapter.validate_python(value)
        except ValidationError:
            return None


def texts_in(path: str, annotation: Any, metadata: tuple[Any, ...] = ()) -> Iterator[Text]:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from texts_in(path, parts[0], (*annotation.__metadata__, *metadata))
    elif origin in (Union, UnionType):
        for part in parts:
            yield from texts_in(path, part, metadata)
    elif origin in (list, tuple, set, dict):
        for part in parts:
            yield from texts_in(path, part)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            yield from texts_in(f"{path} {name}", field.annotation, tuple(field.metadata))
    elif annotation in (str, EmailStr):
        yield Text(path, annotation, metadata)


def texts_of(dependant: Dependant, path: str) -> Iterator[Text]:
    for needed in dependant.dependencies:
        yield from texts_of(needed, path)
    for parameter in (*dependant.path_params, *dependant.query_params, *dependant.body_params):
        field = parameter.field_info
        yield from texts_in(f"{path} {parameter.name}", field.annotation, tuple(field.metadata))


@pytest.fixture(scope="module")
def texts() -> list[Text]:
    """All of them, except opaque ones."""
    found = [text for model in (Frame, Zone, Row) for text in texts_in(model.__name__, model)]
    for context in iter_route_contexts(create_app(get_settings()).routes):
        if isinstance(context.original_route, APIRoute) and context.path is not None:
            found += texts_of(context._effective_route.dependant, context.path.removeprefix("/api/v1"))
    known = {opaque for text in found for opaque in (text.name, text.name.rpartition(" ")[2]) if opaque in OPAQUE}
    assert known == OPAQUE.keys()
    return [text for text in found if text.name not in OPAQUE and text.name.rpartition(" ")[2] not in OPAQUE]


def test_every_text_is_composed(texts: list[Text]) -> None:
    assert len(texts) > 50
    read = [(text.name, value, text.read(value)) for text in texts for value in DECOMPOSED]
    assert [one for one in read if one[2] not in (None, unicodedata.normalize("NFC", one[1]))] == []
    # Restricted types, such as codes of currencies, refuse them all.
    assert len({name for name, _, value in read if value is not None}) > 30


def test_no_text_is_invisible(texts: list[Text]) -> None:
    accepted = [(text.name, value) for text in texts for value in INVISIBLE if text.read(value) not in (None, "")]
    assert accepted == []
    with_hidden = [text.name for text in texts if text.read("Ada\u200bByron") is not None]
    assert with_hidden == []


def test_many_marks_are_refused_before_they_are_ordered(texts: list[Text]) -> None:
    """Ordering takes the square of their number."""
    assert [text.name for text in texts if text.read("a" + "\u0301\u0323" * 50_000) is not None] == []
