"""Who imports whom: between modules, and between the rooms around them, read from the imports of every file."""

import ast
from collections.abc import Iterator
from functools import lru_cache

from ticketing.docgen.codebase import MODULE_ORDER, SOURCE, one_line

Graph = dict[str, set[str]]

#: Loose files of the package count as one room: the application.
APPLICATION = "main"


@lru_cache(maxsize=1)
def imports() -> frozenset[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Pairs of dotted paths below the package: the importing file and the imported name, inside functions as well."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        file = path.relative_to(SOURCE).with_suffix("").parts
        found |= {(file, tuple(name.split(".")[1:])) for name in _imported(ast.parse(path.read_text()))}
    return frozenset(found)


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name for name in names if name.startswith("ticketing."))


def module_calls() -> Graph:
    """Each module with the modules whose front door it imports, lowest first."""
    graph: Graph = {module: set() for module in MODULE_ORDER if (SOURCE / "modules" / module).is_dir()}
    for file, name in imports():
        if file[0] == name[0] == "modules" and len(file) > 2 and len(name) > 1 and name[1] != file[1]:
            graph[file[1]].add(name[1])
    return graph


def room_calls() -> Graph:
    """Each folder beside `modules`, and the loose files together, with the rooms they import."""
    graph: Graph = {}
    for file, name in imports():
        here, there = (_room(parts) for parts in (file, name))
        graph.setdefault(here, set())
        graph.setdefault(there, set())
        if here != there:
            graph[here].add(there)
    return graph


def _room(parts: tuple[str, ...]) -> str:
    return parts[0] if parts and (SOURCE / parts[0]).is_dir() else APPLICATION


def reduced(graph: Graph) -> Graph:
    """Without the arrows that follow from others: a picture shows the same reach with fewer lines."""
    return {
        start: {end for end in ends if not any(end in reach(graph, other) for other in ends - {end})}
        for start, ends in graph.items()
    }


def reach(graph: Graph, start: str) -> set[str]:
    """Everything that `start` imports, directly or not."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for end in graph.get(waiting.pop(), set()) - found:
            found.add(end)
            waiting.append(end)
    return found


def purpose_of(*parts: str) -> str:
    """The docstring of a package."""
    path = SOURCE.joinpath(*parts, "__init__.py")
    return one_line(ast.get_docstring(ast.parse(path.read_text())) if path.exists() else "")


def picture() -> Iterator[str]:
    """The Mermaid flowchart: rooms around the modules, and the modules in layers, highest first."""
    modules, rooms = module_calls(), room_calls()
    yield "flowchart TB"
    yield from (f"  {room}[{_label(room)}]" for room in sorted(rooms.keys() - {"modules", "infra"}))
    yield '  subgraph modules ["modules: each may call those that its arrows reach"]'
    yield "    direction TB"
    yield from (f"    {module}" for module in reversed(modules))
    for module, calls in reversed(reduced(modules).items()):
        yield from (f"    {module} --> {called}" for called in reversed(MODULE_ORDER) if called in calls)
    yield "  end"
    yield '  infra["infra: knows no module"]'
    for room, calls in sorted(reduced(rooms).items()):
        yield from (f"  {room} --> {called}" for called in sorted(calls))


def _label(room: str) -> str:
    if room == APPLICATION:
        others = sorted(path.name for path in SOURCE.glob("*.py") if path.name not in {"__init__.py", "main.py"})
        return f'"{", ".join(["main.py", *others])}"'
    return f'"{room}/"'
