"""The imports of a source tree as a graph, read with `ast`: nothing is run."""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

#: A file as its dotted path below the package; a package is the dotted path of its `__init__`, without that name.
Module = tuple[str, ...]
Graph = Mapping[str, set[str]]


@dataclass(frozen=True)
class Import:
    """One imported name. `target` is the module that has it, or the module itself when a module is imported."""

    source: Module
    line: int
    target: Module
    name: Module


class Tree:
    """All modules below `root`, the folder of the package `ticketing`, and what they import of each other."""

    def __init__(self, root: Path, sources: Mapping[str, str] | None = None) -> None:
        """`sources` replaces or adds files by their path below the root, so that a rule can be broken on purpose."""
        texts = {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*.py")}
        texts.update(sources or {})
        self.texts = {_module(path): text for path, text in texts.items()}
        self.packages = {_module(path) for path in texts if path.endswith("__init__.py")}
        self.imports = [found for module, text in self.texts.items() for found in self._imports(module, text)]

    def _imports(self, module: Module, text: str) -> Iterator[Import]:
        for line, full in _named(text, module if module in self.packages else module[:-1]):
            target = full if full in self.texts else full[:-1]
            if target in self.texts and target != module:
                yield Import(module, line, target, full)

    def files(self) -> Graph:
        """Each file with the files that it imports."""
        graph: dict[str, set[str]] = {".".join(module): set() for module in self.texts}
        for each in self.imports:
            graph[".".join(each.source)].add(".".join(each.target))
        return graph

    def children(self) -> Mapping[Module, Graph]:
        """Of each package the graph of its children: an import belongs to the package in which both sides meet."""
        graphs: dict[Module, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for each in self.imports:
            ends = [module + ("__init__",) * (module in self.packages) for module in (each.source, each.target)]
            depth = next(at for at, (one, other) in enumerate(zip(*ends, strict=False)) if one != other)
            graphs[ends[0][:depth]][ends[0][depth]].add(ends[1][depth])
        return graphs


def _module(path: str) -> Module:
    parts = tuple(path.removesuffix(".py").split("/"))
    return parts[:-1] if parts[-1] == "__init__" else parts


@cache
def _named(text: str, package: Module) -> list[tuple[int, Module]]:
    """The line and the dotted path of every name of ours that a source imports, also inside functions."""
    found = []
    for node in ast.walk(ast.parse(text)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = ("ticketing", *package)[: len(package) + 2 - node.level] if node.level else ()
            base = ".".join([*above, *filter(None, [node.module])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        found += [(node.lineno, tuple(name.split(".")[1:])) for name in names if name.startswith("ticketing.")]
    return found


def circles(graph: Graph) -> Iterable[list[str]]:
    """The groups of nodes that reach each other (Tarjan's strongly connected components of more than one node)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = [stack.pop()]
            while group[-1] != node:
                group.append(stack.pop())
            if len(group) > 1:
                found.append(sorted(group))

    for node in graph:
        if node not in index:
            visit(node)
    return found
