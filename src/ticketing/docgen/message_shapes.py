"""What has been published of messages, and whether the code still keeps to it: `docs/messages.json`, by `make docs`.

A shape that was published stays as it is for its version: facts lie in the log for days and in other people's topics
for as long as they like. What may change is said in docs/messages.md; the rest needs a new `schema_version`.
"""

import importlib
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
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
    """What somebody who reads such messages relies on; without words, which may change."""
    schema = kind.model_json_schema(mode="serialization")
    fields = {name: _plain(type_, schema.get("$defs", {})) for name, type_ in schema["properties"].items()}
    # A default is the writer's affair: it is there in every message that is written, but not in those before it.
    always = {name for name, field in kind.model_fields.items() if field.is_required()}
    return {"key": kind.key_field, "fields": fields, "always": sorted(always)}


def _plain(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    if (reference := schema.get("$ref")) is not None:
        return _plain(definitions[reference.rpartition("/")[2]], definitions)
    kept = {name: value for name, value in schema.items() if name not in {"title", "description", "default"}}
    for name, value in kept.items():
        if name == "anyOf":
            kept[name] = [_plain(one, definitions) for one in value]
        elif name == "items":
            kept[name] = _plain(value, definitions)
    return kept


def breaks(published: Published, kinds: Iterable[type[Message]]) -> list[str]:
    """A sentence for each promise that is not kept any more."""
    now = {kind.topic: kind for kind in kinds}
    return [said for topic, versions in published.items() for said in _breaks_of(topic, versions, now.get(topic))]


def _breaks_of(topic: str, versions: dict[str, Shape], kind: type[Message] | None) -> Iterator[str]:
    newest = max(map(int, versions))
    if kind is None:
        yield f"{topic} was published and is gone: whoever reads it waits for ever"
    elif kind.schema_version < newest:
        yield f"{topic} is version {kind.schema_version}, but version {newest} was published"
    elif kind.schema_version == newest:
        before, now = versions[str(newest)], shape_of(kind)
        yield from (f"{topic} version {newest}: {said}" for said in _differences(before, now))


def _differences(before: Shape, now: Shape) -> Iterator[str]:
    if before["key"] != now["key"]:
        yield f"its key was `{before['key']}` and is `{now['key']}`: messages of one aggregate lose their order"
    for name, type_ in before["fields"].items():
        if name not in now["fields"]:
            yield f"the field `{name}` is gone, or has another name"
        elif not _is_kept(type_, now["fields"][name]):
            yield f"the field `{name}` has another type"
        elif name in before["always"] and name not in now["always"]:
            yield f"the field `{name}` was always there and may be missing"
    for name in now["always"]:
        if name not in before["always"]:
            yield f"the field `{name}` has to be there, and messages that lie in the log lack it: give it a default"


def _is_kept(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """The same type; one of several words may have got more words."""
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
    """What is published from now on. Raises ValueError, with a sentence for each promise that is broken."""
    kinds = list(kinds)
    if broken := breaks(published, kinds):
        raise ValueError("\n".join([*broken, "Such a change needs a new schema_version, and consumers first."]))
    extended = {topic: dict(versions) for topic, versions in published.items()}
    for kind in kinds:
        extended.setdefault(kind.topic, {})[str(kind.schema_version)] = shape_of(kind)
    return extended


def write(published: Published) -> bytes:
    return orjson.dumps(published, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    try:
        path.write_bytes(write(extend(orjson.loads(path.read_bytes()), kinds())))
    except ValueError as error:
        sys.exit(str(error))
