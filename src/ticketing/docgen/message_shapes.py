"""docs/messages.json: the published shape of every message, and whether the code still keeps to it.

A published shape is final for its version: messages stay in the log for days, and in topics of other systems for as
long as those keep them. docs/messages.md says what may change; anything else needs a new `schema_version`.
"""

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from ticketing import modules
from ticketing.infra.outbox import Message

#: A message's shape: its key, its fields with their types, and those that are always there.
Shape = dict[str, Any]
#: By topic, and then by version.
Published = dict[str, dict[str, Shape]]


def kinds() -> list[type[Message]]:
    """Every message that a module publishes, by module and topic."""
    for module in pkgutil.iter_modules(modules.__path__):
        importlib.import_module(f"{modules.__name__}.{module.name}")
    return sorted(_kinds_of(Message), key=lambda kind: (kind.__module__, kind.topic))


def _kinds_of(parent: type[Message]) -> Iterator[type[Message]]:
    for kind in parent.__subclasses__():
        if hasattr(kind, "topic") and kind.__module__.startswith(f"{modules.__name__}."):
            yield kind
        yield from _kinds_of(kind)


def shape_of(kind: type[Message]) -> Shape:
    """What consumers of the message rely on: no descriptions, which may be reworded."""
    schema = kind.model_json_schema(mode="serialization")
    fields = {name: _without_prose(type_, schema.get("$defs", {})) for name, type_ in schema["properties"].items()}
    # A field with a default is in every message written now, but not in older ones.
    always = {name for name, field in kind.model_fields.items() if field.is_required()}
    return {"key": kind.key_field, "fields": fields, "always": sorted(always)}


def _without_prose(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    if (reference := schema.get("$ref")) is not None:
        return _without_prose(definitions[reference.rpartition("/")[2]], definitions)
    kept = {name: value for name, value in schema.items() if name not in {"title", "description", "default"}}
    for name, value in kept.items():
        if name == "anyOf":
            kept[name] = [_without_prose(one, definitions) for one in value]
        elif name == "items":
            kept[name] = _without_prose(value, definitions)
    return kept


def breaks(published: Published, kinds: Iterable[type[Message]]) -> list[str]:
    """A sentence for each published promise that the code breaks."""
    now = {kind.topic: kind for kind in kinds}
    return [said for topic, versions in published.items() for said in _breaks_of(topic, versions, now.get(topic))]


def _breaks_of(topic: str, versions: dict[str, Shape], kind: type[Message] | None) -> Iterator[str]:
    newest = max(map(int, versions))
    if kind is None:
        yield f"{topic} was published and is gone: its consumers would wait for ever"
    elif kind.schema_version < newest:
        yield f"{topic} is version {kind.schema_version}, but version {newest} was published"
    elif kind.schema_version == newest:
        before, now = versions[str(newest)], shape_of(kind)
        yield from (f"{topic} version {newest}: {said}" for said in _differences(before, now))


def _differences(before: Shape, now: Shape) -> Iterator[str]:
    if before["key"] != now["key"]:
        yield f"its key was `{before['key']}` and is `{now['key']}`: messages of one aggregate would lose their order"
    for name, type_ in before["fields"].items():
        if name not in now["fields"]:
            yield f"the field `{name}` is gone or renamed"
        elif not _is_kept(type_, now["fields"][name]):
            yield f"the field `{name}` has another type"
        elif name in before["always"] and name not in now["always"]:
            yield f"the field `{name}` was always present and may now be missing"
    for name in now["always"]:
        if name not in before["always"]:
            yield f"the field `{name}` is mandatory, and messages in the log lack it: give it a default"


def _is_kept(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """The same type; an enumeration may have more values."""
    if "enum" in before and "enum" in now:
        return set(before["enum"]) <= set(now["enum"])
    if before.keys() != now.keys():
        return False
    return all(_is_kept_at(name, before[name], now[name]) for name in before)


def _is_kept_at(name: str, before: Any, now: Any) -> bool:
    if name == "items":
        return _is_kept(before, now)
    if name == "anyOf":
        return len(before) == len(now) and all(map(_is_kept, before, now))
    return bool(before == now)


def extend(published: Published, kinds: Iterable[type[Message]]) -> Published:
    """The published shapes with the new ones added. Raises ValueError with a sentence for each broken promise."""
    kinds = list(kinds)
    if broken := breaks(published, kinds):
        advice = "Such a change needs a new schema_version, which consumers must handle before it is published."
        raise ValueError("\n".join([*broken, advice]))
    extended = {topic: dict(versions) for topic, versions in published.items()}
    for kind in kinds:
        extended.setdefault(kind.topic, {})[str(kind.schema_version)] = shape_of(kind)
    return extended


def write(published: Published) -> bytes:
    """The file's text: sorted, so that a change shows as the lines that changed."""
    return orjson.dumps(published, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
