"""Published shapes of messages are kept, and docs/messages.md says what the classes say."""

from pathlib import Path
from typing import Any, ClassVar, Literal
from uuid import UUID

import orjson
import pytest

from ticketing.docgen import messages_page
from ticketing.docgen.message_shapes import Published, breaks, extend, kinds, shape_of
from ticketing.infra.outbox import Message

DOCS = Path(__file__).parents[2] / "docs"


class BellRung(Message):
    """A bell has rung."""

    topic: ClassVar[str] = "bell.rung"
    key_field: ClassVar[str] = "bell_id"

    bell_id: UUID
    times: int
    tone: Literal["high", "low"] = "low"
    by: str | None


PUBLISHED: Published = {"bell.rung": {"1": shape_of(BellRung)}}


def changed(name: str = "BellRung", **members: Any) -> type[Message]:
    """The same message after a change of the class."""
    annotations = {"bell_id": UUID, "times": int, "tone": Literal["high", "low"], "by": str | None}
    annotations |= members.pop("fields", {})
    for gone in members.pop("without", ()):
        del annotations[gone]
    defaults = {"tone": "low"} if "tone" in annotations else {}
    body = {"topic": "bell.rung", "key_field": "bell_id", **defaults, **members}
    return type(name, (Message,), {"__annotations__": annotations, "__module__": __name__, **body})


def test_published_shapes_are_kept() -> None:
    assert breaks(orjson.loads((DOCS / "messages.json").read_bytes()), kinds()) == []


def test_new_shapes_are_published() -> None:
    published = orjson.loads((DOCS / "messages.json").read_bytes())
    assert extend(published, kinds()) == published, "there are new messages, fields or versions: run `make docs`"


def test_the_page_says_what_the_classes_say() -> None:
    assert (DOCS / "messages.md").read_text() == messages_page.render(), "a message has changed: run `make docs`"


def test_the_page_has_every_message_and_its_consumers() -> None:
    page = messages_page.render()
    assert len(kinds()) > 30
    for kind in kinds():
        assert f"### `{kind.topic}`" in page
        assert kind.__dict__.get("__doc__"), f"{kind.__name__} has no docstring"
    assert "`OrderPaid`, version 1, key `order_id`. Consumers: tickets." in page
    assert "| `role` | one of `ORG_ADMIN`, `ORG_STAFF`, `ORG_SCANNER` |" in page


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (changed(without=["times"]), "the field `times` is gone or renamed"),
        (changed(fields={"times": str}), "the field `times` has another type"),
        (changed(fields={"times": int | None}), "the field `times` has another type"),
        (changed(fields={"tone": Literal["high"]}), "the field `tone` has another type"),
        (changed(fields={"times": list[int]}), "the field `times` has another type"),
        (changed(fields={"by": int | None}), "the field `by` has another type"),
        (changed(times=1), "the field `times` was always present and may now be missing"),
        (changed(fields={"loud": bool}), "the field `loud` is mandatory, and messages in the log lack it"),
        (changed(key_field="times"), "its key was `bell_id` and is `times`"),
        (changed(topic="bell.was_rung"), "bell.rung was published and is gone"),
    ],
)
def test_a_change_that_breaks_a_consumer_is_reported(kind: type[Message], said: str) -> None:
    (sentence,) = breaks(PUBLISHED, [kind])
    assert said in sentence
    with pytest.raises(ValueError, match="needs a new schema_version"):
        extend(PUBLISHED, [kind])


def test_a_version_that_goes_back_is_reported() -> None:
    published = extend(PUBLISHED, [changed(schema_version=2)])
    assert breaks(published, [changed()]) == ["bell.rung is version 1, but version 2 was published"]


@pytest.mark.parametrize(
    "kind",
    [
        changed(),
        changed("Renamed"),
        changed(fields={"loud": bool}, loud=False),
        changed(fields={"tone": Literal["high", "low", "deep"]}),
        changed(without=["times"], schema_version=2),
    ],
)
def test_a_compatible_change_passes(kind: type[Message]) -> None:
    assert breaks(PUBLISHED, [kind]) == []
    assert extend(PUBLISHED, [kind])["bell.rung"][str(kind.schema_version)] == shape_of(kind)


def test_a_new_message_or_version_leaves_the_published_shapes_alone() -> None:
    bigger = extend(PUBLISHED, [changed(schema_version=2, without=["by"]), changed(topic="bell.cast")])
    assert bigger["bell.rung"]["1"] == PUBLISHED["bell.rung"]["1"]
    assert set(bigger) == {"bell.rung", "bell.cast"}
    assert "by" not in bigger["bell.rung"]["2"]["fields"]
