"""The rules of the tree: who may import whom, how wide a folder is, and where a file lives.

Each rule is a function from a tree to its offences; a test runs it on the tree as it is, and another one on a tree in
which the rule is broken.
"""

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.imports import Import, Module, Tree, circles
from ticketing.docgen.codebase import MODULE_ORDER

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "ticketing"
TESTS = ROOT / "tests"

LOOSE_FILES = {"__init__", "main", "alerts", "admission", "rate_limits", "lanes"}
LOOSE_FILES_OF_INFRA_MAX = 8
FOLDER_FILES_MAX = 16
FILE_LINES_MAX = 400
FORBIDDEN_FOLDERS = {"common", "utils", "helpers", "core", "repositories", "interfaces", "dto", "misc"}

#: A higher room may import a lower one. What has the same rank does not import each other, except the top.
RANKS = {"infra": 0, "web": 1, "modules": 2, "workers": 4, "invariants": 4}
APPLICATION_RANK, TOP_RANK = 3, 5

#: Words of the domain, as parts of identifiers. "event", "order" and "hold" mean other things in infrastructure too.
DOMAIN_WORDS = {
    *("seat", "seats", "ticket", "tickets", "reservation", "reservations", "payment", "payments", "refund", "refunds"),
    *("venue", "venues", "buyer", "buyers", "organizer", "attendee", "check_in"),
}

#: Tests that exercise the whole platform, or the tests' own fixtures, and so mirror no package.
WHOLE_PLATFORM = {"browser", "chaos", "contract", "crashes", "e2e", "fuzz", "model", "mutants", "support", "sweeps"}
LOOSE_TESTS = {"test_architecture.py", "test_audits.py", "conftest.py", "__init__.py"}


def upward_imports(tree: Tree) -> Iterator[str]:
    """infra < web < modules < main and its neighbours < workers, invariants < command line and the rest."""
    for each in tree.imports:
        here, there = _rank(each.source), _rank(each.target)
        same_room = each.source[0] == each.target[0]
        if here < there or (here == there < APPLICATION_RANK and not same_room):
            yield _told(each)


def _rank(module: Module) -> int:
    if module and module[0] in RANKS:
        return RANKS[module[0]]
    return APPLICATION_RANK if len(module) == 1 and module[0] in LOOSE_FILES else TOP_RANK


def module_order(tree: Tree) -> Iterator[str]:
    for each in tree.imports:
        if _modules_differ(each) and _place(each.target) > _place(each.source):
            yield _told(each)


def front_doors(tree: Tree) -> Iterator[str]:
    """`from ticketing.modules import events` and `from ticketing.modules.events import X`, and nothing behind it."""
    for each in tree.imports:
        past_the_door = len(each.target) > 2 and each.target[0] == "modules"
        same_module = each.source[:2] == each.target[:2]
        if past_the_door and not same_module and each.source[:1] != ("docgen",):  # which documents what it finds
            yield _told(each)


def _modules_differ(each: Import) -> bool:
    inside = all(module[0] == "modules" and len(module) > 1 for module in (each.source, each.target))
    return inside and each.source[1] != each.target[1]


def _place(module: Module) -> int:
    return MODULE_ORDER.index(module[1])


def file_circles(tree: Tree) -> Iterator[str]:
    yield from (" <-> ".join(group) for group in circles(tree.files()))


def folder_circles(tree: Tree) -> Iterator[str]:
    """Among the children of one package, files and folders alike; modules have an order of their own."""
    for package, graph in tree.children().items():
        yield from (f"{'.'.join(package)}: {' <-> '.join(group)}" for group in circles(graph))


def domain_words_in_infra(tree: Tree) -> Iterator[str]:
    for module, text in tree.texts.items():
        # Settings bear the names that operators type.
        if module[:1] == ("infra",) and module[:2] != ("infra", "config"):
            for name in sorted(_identifiers(text)):
                parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_")
                if DOMAIN_WORDS & {*parts, *map("_".join, pairwise(parts))}:
                    yield f"{'.'.join(module)}: {name}"


@cache
def _identifiers(source: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(source)):
        for field in ("id", "attr", "arg", "name"):
            if isinstance(value := getattr(node, field, None), str):
                found.add(value)
    return found


def loose_files(tree: Tree) -> Iterator[str]:
    for (name,) in (module for module in tree.texts if len(module) == 1 and module not in tree.packages):
        if name not in LOOSE_FILES:
            yield f"{name}.py has no package"
    in_infra = [module[1] for module in tree.texts if module[:1] == ("infra",) and len(module) == 2]
    loose = [name for name in in_infra if ("infra", name) not in tree.packages]
    if len(loose) > LOOSE_FILES_OF_INFRA_MAX:
        yield f"infra has {len(loose)} loose files: {', '.join(sorted(loose))}"


def long_files(tree: Tree) -> Iterator[str]:
    for module, text in tree.texts.items():
        if (lines := text.count("\n")) > FILE_LINES_MAX:
            yield f"{'.'.join(module)}: {lines} lines"


def _told(each: Import) -> str:
    return f"{'.'.join(each.source)}:{each.line} imports {'.'.join(each.name)}"


AS_IT_IS = Tree(SOURCE)
Rule = Callable[[Tree], Iterator[str]]
RULES: tuple[Rule, ...] = (
    upward_imports,
    module_order,
    front_doors,
    file_circles,
    folder_circles,
    domain_words_in_infra,
    loose_files,
    long_files,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps_the_rule(rule: Rule) -> None:
    assert list(rule(AS_IT_IS)) == []


@pytest.mark.parametrize(
    ("rule", "sources"),
    [
        (upward_imports, {"infra/db/session.py": "from ticketing.modules import iam"}),
        (upward_imports, {"infra/db/session.py": "from ...modules import iam"}),
        (upward_imports, {"infra/log.py": "from ticketing.web import pages"}),
        (upward_imports, {"web/pages.py": "from ticketing.modules import events"}),
        (upward_imports, {"modules/events/api.py": "from ticketing.workers import relay"}),
        (upward_imports, {"modules/events/api.py": "from ticketing import rate_limits"}),
        (upward_imports, {"main.py": "from ticketing.workers import relay"}),
        (upward_imports, {"workers/relay.py": "def late():\n    from ticketing.cli import app"}),
        (module_order, {"modules/events/api.py": "from ticketing.modules import reservations"}),
        (module_order, {"modules/events/api.py": "import ticketing.modules.orders"}),
        (module_order, {"modules/events/api.py": "from ...modules import orders"}),
        (front_doors, {"modules/events/api.py": "from ticketing.modules.venues.models import Venue"}),
        (front_doors, {"workers/relay.py": "from ticketing.modules.venues.models import Venue"}),
        (front_doors, {"modules/events/api.py": "def late():\n    from ticketing.modules.venues import models"}),
        (file_circles, {"infra/a.py": "from ticketing.infra import b", "infra/b.py": "from ticketing.infra import a"}),
        (
            file_circles,
            {
                "infra/a.py": "from ticketing.infra.b import B",
                "infra/b.py": "if TYPE_CHECKING:\n    from ticketing.infra.a import A",
            },
        ),
        (
            folder_circles,
            {
                "infra/x/__init__.py": "",
                "infra/y/__init__.py": "",
                "infra/x/a.py": "import ticketing.infra.y.a",
                "infra/y/a.py": "",
                "infra/y/b.py": "import ticketing.infra.x.b",
                "infra/x/b.py": "",
            },
        ),
        (domain_words_in_infra, {"infra/log.py": "def log_refund(order): ..."}),
        (domain_words_in_infra, {"infra/log.py": "class SeatLog: ..."}),
        (loose_files, {"figures.py": ""}),
        (loose_files, {f"infra/loose_{number}.py": "" for number in range(9)}),
        (long_files, {"infra/log.py": "pass\n" * 401}),
    ],
)
def test_the_rule_sees_what_breaks_it(rule: Rule, sources: dict[str, str]) -> None:
    assert set(rule(Tree(SOURCE, sources))) - set(rule(AS_IT_IS))


def test_every_module_has_its_place_in_the_order() -> None:
    modules = {path.name for path in (SOURCE / "modules").iterdir() if (path / "__init__.py").exists()}
    assert modules <= set(MODULE_ORDER)


def _folders(*roots: Path) -> Counter[Path]:
    files = [
        path for root in roots for kind in ("*.py", "*.js") for path in root.rglob(kind) if path.stem != "__init__"
    ]
    return Counter(path.parent for path in files if "__pycache__" not in path.parts)


def test_no_folder_is_wider_than_one_look_takes_in() -> None:
    wide = {str(folder): count for folder, count in _folders(SOURCE, TESTS).items() if count > FOLDER_FILES_MAX}
    assert wide == {}


def test_no_folder_has_a_name_that_says_nothing() -> None:
    assert not {folder.name for folder in _folders(SOURCE, TESTS)} & FORBIDDEN_FOLDERS


def misplaced(folders: set[Path]) -> list[str]:
    """Folders of tests that mirror no package of the source."""
    return [
        str(folder)
        for folder in sorted(folders)
        if folder.parts and folder.parts[0] not in WHOLE_PLATFORM and not (SOURCE / folder / "__init__.py").exists()
    ]


def test_every_test_file_has_its_room() -> None:
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("*.py")}
    assert misplaced(folders) == []
    loose = {path.name for path in TESTS.glob("*.py")} - LOOSE_TESTS
    assert {name for name in loose if not (SOURCE / name.removeprefix("test_")).exists()} == set()


def test_a_test_in_no_room_is_seen() -> None:
    assert misplaced({Path("modules/events"), Path("modules/parties"), Path("misc")}) == ["misc", "modules/parties"]
