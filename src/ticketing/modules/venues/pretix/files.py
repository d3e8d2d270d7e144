"""Read a plan's file as JSON, and find the line and column of a place in it.

Files come from many programs: with a byte order mark, in UTF-16, or with a key that an object has twice. Numbers that
no float has (`NaN`, `1e999`) are read here and refused where they stand.
"""

import codecs
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ticketing.infra.errors import BadRequest

#: Larger files are read, and their faults are named without a line: the search takes 1 s for 3 MB.
LOCATED_CHARACTERS_MAX = 6_000_000

#: The keys and indexes that lead to a value of the file.
Path = tuple[str | int, ...]
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)


class Position(NamedTuple):
    """Both count from 1; a column is a character."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class File:
    """A file's JSON, its text, and whether any of its objects has a key twice: then the last one counts."""

    document: Any
    text: str
    has_duplicate_keys: bool


def read_file(content: bytes) -> File:
    """Decode and parse a file.

    Raises:
        BadRequest: it is not Unicode text or not JSON, with the `line` and `column` of the fault.
    """
    text = _decode(content)
    duplicates: list[str] = []

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        read = dict(pairs)
        if len(read) != len(pairs) and not duplicates:
            duplicates.append("")
        return read

    try:
        document = json.loads(text, object_pairs_hook=collect)
    except json.JSONDecodeError as error:
        raise _unreadable("The file is not valid JSON", Position(error.lineno, error.colno)) from None
    except RecursionError:
        raise BadRequest("The file is nested too deeply.") from None
    except ValueError:
        raise BadRequest("The file contains a number with too many digits.") from None
    return File(document, text, bool(duplicates))


def _decode(content: bytes) -> str:
    encoding = next((name for mark, name in _BOMS if content.startswith(mark)), json.detect_encoding(content))
    try:
        text = content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode(encoding, "replace")
        what = f"The file is not {encoding.upper()} text: save it as UTF-8. The first wrong byte is"
        raise _unreadable(what, _position(before, len(before))) from None
    if not text.strip():
        raise BadRequest("The file is empty.")
    return text


def _unreadable(what: str, at: Position) -> BadRequest:
    return BadRequest(f"{what} at line {at.line}, column {at.column}.", line=at.line, column=at.column)


def _position(text: str, offset: int) -> Position:
    return Position(text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))


@dataclass(slots=True)
class _Node:
    """A part of the wanted paths, and where its value begins in the text."""

    children: dict[str | int, "_Node"] = field(default_factory=dict)
    offset: int | None = None


@dataclass(slots=True)
class _Level:
    """An object or array that the scan is inside of."""

    is_object: bool
    node: _Node | None
    key: str | int | None
    known: set[str] = field(default_factory=set)


def locate(file: File, paths: Collection[Path]) -> dict[Path, Position]:
    """The positions of these paths, or of the innermost object that the file has on the way to a missing one.

    Empty for a file of more than LOCATED_CHARACTERS_MAX.
    """
    if len(file.text) > LOCATED_CHARACTERS_MAX:
        return {}
    root = _Node()
    for path in paths:
        node = root
        for part in path:
            node = node.children.setdefault(part, _Node())
    for _ in _scan(file.text, root):
        pass
    return {path: _position(file.text, _innermost(root, path)) for path in paths}


def find_duplicate_keys(file: File, most: int) -> list[Path]:
    """The paths of the first keys that an object of the file has once more."""
    if not file.has_duplicate_keys or len(file.text) > LOCATED_CHARACTERS_MAX:
        return []
    found: dict[Path, None] = {}
    for path in _scan(file.text, _Node()):
        found[path] = None
        if len(found) == most:
            break
    return list(found)


def _innermost(root: _Node, path: Path) -> int:
    node, offset = root, root.offset or 0
    for part in path:
        node = node.children[part]
        if node.offset is None:
            break
        offset = node.offset
    return offset


def _scan(text: str, root: _Node) -> Iterator[Path]:
    """Set the offsets of the nodes, and yield the path of each key that its object already has."""
    levels: list[_Level] = []
    is_key = False
    for match in _TOKEN.finditer(text):
        mark = match[0]
        if mark == ",":
            level = levels[-1]
            is_key = level.is_object
            if isinstance(level.key, int):
                level.key += 1
        elif mark == ":":
            is_key = False
        elif mark in ("}", "]"):
            levels.pop()
            is_key = False
        elif is_key:
            level, name = levels[-1], json.loads(mark)
            level.key = name
            if name in level.known:
                yield tuple(each.key for each in levels if each.key is not None)
            level.known.add(name)
        else:
            node = _node_here(levels, root)
            if node is not None and node.offset is None:
                node.offset = match.start()
            if mark in ("{", "["):
                is_key = mark == "{"
                levels.append(_Level(is_key, node, None if is_key else 0))


def _node_here(levels: list[_Level], root: _Node) -> _Node | None:
    if not levels:
        return root
    level = levels[-1]
    return None if level.node is None or level.key is None else level.node.children.get(level.key)
