"""The walls of the house: a boundary that is not tested decays."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "ticketing"

#: Lowest first; a module may import those before it.
ORDER = (
    "health",
    "iam",
    "organizations",
    "venues",
    "events",
    "waitingroom",
    "reservations",
    "orders",
    "payments",
    "tickets",
    "notifications",
    "webhooks",
    "realtime",
    "privacy",
    "graphql",
)

FORBIDDEN_FOLDERS = {"common", "utils", "helpers", "core", "repositories", "interfaces", "dto", "misc"}

Import = tuple[int, str, str]


def imports_of(path: Path, source: str) -> Iterator[Import]:
    """(line, module, name) of every absolute import, also those inside functions and under TYPE_CHECKING."""
    package = ("ticketing", *path.relative_to(SOURCE).with_suffix("").parts)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, ""
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*package[: len(package) - node.level], *filter(None, [node.module])])
            for alias in node.names:
                yield node.lineno, base, alias.name


def offences(path: Path, source: str) -> list[str]:
    """What the file imports and must not."""
    parts = path.relative_to(SOURCE).parts
    if len(parts) == 1 or parts[0] in {"workers", "rehearsal"}:  # main.py, cli.py and their like see every module
        return []
    found = []
    for line, module, name in imports_of(path, source):
        full = f"{module}.{name}".rstrip(".").split(".")
        if full[0] != "ticketing":
            continue
        rule = check(parts, full)
        if rule:
            found.append(f"{path.name}:{line}: {rule}: {'.'.join(full)}")
    return found


def check(parts: tuple[str, ...], full: list[str]) -> str | None:
    if len(full) > 1 and full[1] not in {"infra", "modules", "web"}:
        return "imports the top"
    if len(full) < 3 or full[1] != "modules":
        return None
    if parts[0] in {"infra", "web"}:
        return f"{parts[0]} imports a module"
    mine, other = parts[1].removesuffix(".py"), full[2]
    if mine == other or parts[0] != "modules" or mine == "__init__":
        return None
    if ORDER.index(other) > ORDER.index(mine):
        return "imports upward"
    # `from ticketing.modules import events` is three parts; a fourth would be a name behind the front door.
    return "imports past the front door" if len(full) > 3 else None


SOURCES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_keep_to_the_walls(path: Path) -> None:
    assert offences(path, path.read_text()) == []


@pytest.mark.parametrize(
    ("where", "source"),
    [
        ("modules/events/api.py", "from ticketing.modules import reservations"),
        ("modules/events/api.py", "import ticketing.modules.orders"),
        ("modules/events/api.py", "from ticketing.modules.venues.models import Venue"),
        ("modules/events/api.py", "def f():\n    from ticketing.modules.orders import Order"),
        ("modules/events/api.py", "from ...modules import orders"),
        ("modules/events/api.py", "from ticketing.workers import run"),
        ("infra/db/session.py", "from ticketing.modules import iam"),
        ("infra/db/session.py", "from ..modules import iam"),
    ],
)
def test_the_proof_sees_what_breaks_the_walls(where: str, source: str) -> None:
    assert offences(SOURCE / where, source)


def test_every_module_has_its_place_in_the_order() -> None:
    modules = {p.name for p in (SOURCE / "modules").iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert modules <= set(ORDER)


def test_no_room_without_a_name() -> None:
    folders = {p.name for p in SOURCE.rglob("*") if p.is_dir()}
    assert not folders & FORBIDDEN_FOLDERS


def test_no_file_outgrows_its_room() -> None:
    too_long = [str(p.relative_to(SOURCE)) for p in SOURCES if len(p.read_text().splitlines()) > 400]
    assert too_long == []
