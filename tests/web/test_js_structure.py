"""The structure of the JavaScript modules: folders, file names, imports and their direction, read as text."""

import posixpath
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from ticketing.web.assets import FOLDER, Assets
from ticketing.web.shell import PAGE_MODULES

ROOT = FOLDER / "js"
ENTRY = "main.js"
MIN_FILES, MAX_FILES = 2, 15

#: Lowest layer first. A module imports from its own folder and from lower layers; folders of one layer are independent.
LAYERS = (
    {"lib"},
    {"words"},
    {"api"},
    {"ui"},
    {"seatmap", "account", "order", "door"},
    {"buying", "console"},
    {"pages"},
)
RANK = {folder: rank for rank, layer in enumerate(LAYERS) for folder in layer}

KEBAB_CASE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\.js")
STATIC_IMPORT = re.compile(r"^import\s+(?:(?P<default>\w+)|\{(?P<names>[^}]*)\})\s+from\s+'(?P<target>[^']+)';", re.M)
SIDE_EFFECT_IMPORT = re.compile(r"^import\s+'(?P<target>[^']+)';", re.M)
DYNAMIC_IMPORT = re.compile(r"\bimport\('(?P<target>[^']+)'\)")
ANY_IMPORT = re.compile(r"^import\b|^export\s*[{*]|\bimport\(", re.M)
OPENED = re.compile(r"(?:\blocation\.(?:assign|replace)\(|\bwindow\.open\(|\blocation(?:\.href)?\s*=(?!=))(.*)")
#: What takes a text to the page without a direction, and the only module that may do so.
TEXTS = {
    r"\.textContent\s*=(?!=)|createTextNode|innerHTML|insertAdjacentHTML|innerText": "lib/dom.js",
    r"\.fillText\(|\.strokeText\(|\.join\('[^']*[·,][^']*'\)|[}·] · |· \$\{": "lib/directions.js",
}
OWN_PATH = re.compile(r"'/(?![/\\])")
EXPORT = re.compile(r"^export (?:async )?(?:function|class|const) (\w+)", re.M)


@dataclass(frozen=True)
class Import:
    """One import statement; paths are relative to the root."""

    source: str
    target: str
    names: frozenset[str]


def modules(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.js"))


def imports_of(root: Path, source: str) -> Iterator[Import]:
    text = (root / source).read_text(encoding="utf-8")
    found = 0
    for pattern in (STATIC_IMPORT, SIDE_EFFECT_IMPORT, DYNAMIC_IMPORT):
        for match in pattern.finditer(text):
            found += 1
            groups = match.groupdict()
            names = {name.strip() for name in (groups.get("names") or "").split(",") if name.strip()}
            target = posixpath.normpath(posixpath.join(folder_of(source), groups["target"]))
            yield Import(source, target, frozenset(names))
    assert found == len(ANY_IMPORT.findall(text)), f"{source} has an import in a form that this test does not read"


def all_imports(root: Path) -> list[Import]:
    return [item for source in modules(root) for item in imports_of(root, source)]


def folder_of(module: str) -> str:
    return module.rpartition("/")[0]


def check_folders(root: Path) -> list[str]:
    """Check the width of each folder, and that each belongs to a layer."""
    widths = Counter(map(folder_of, modules(root)))
    loose = [f"{name} lies outside the folders" for name in modules(root) if "/" not in name and name != ENTRY]
    unknown = [f"{folder}/ belongs to no layer" for folder in widths if folder and folder not in RANK]
    wrong = [
        f"{folder}/ has {count} files"
        for folder, count in widths.items()
        if folder and not MIN_FILES <= count <= MAX_FILES
    ]
    return loose + unknown + wrong


def check_names(root: Path) -> list[str]:
    """Check that file names are in kebab-case."""
    return [f"{name} is not in kebab-case" for name in modules(root) if not KEBAB_CASE.fullmatch(Path(name).name)]


def check_targets(root: Path) -> list[str]:
    """Check that each import names a file that exists and names that this file exports."""
    found = []
    for item in all_imports(root):
        target = root / item.target
        if not target.is_file():
            found.append(f"{item.source} imports {item.target}, which does not exist")
        elif missing := item.names - set(EXPORT.findall(target.read_text(encoding="utf-8"))):
            found.append(f"{item.source} imports {sorted(missing)}, which {item.target} does not export")
    return found


def check_cycles(root: Path) -> list[str]:
    """Check that no files, and no folders, import each other in a circle."""
    graphs: dict[str, dict[str, set[str]]] = {"file": {}, "folder": {}}
    for item in all_imports(root):
        graphs["file"].setdefault(item.source, set()).add(item.target)
        if (source := folder_of(item.source)) != (target := folder_of(item.target)):
            graphs["folder"].setdefault(source, set()).add(target)
    found = []
    for kind, graph in graphs.items():
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            found.append(f"{kind} circle: {' <- '.join(error.args[1])}")
    return found


def check_direction(root: Path) -> list[str]:
    """Check that imports point to lower layers."""
    top = len(LAYERS)
    return [
        f"{item.source} imports {item.target} against the direction of the layers"
        for item in all_imports(root)
        if (source := folder_of(item.source)) != (target := folder_of(item.target))
        and RANK.get(target, top) >= RANK.get(source, top)
    ]


def check_unused(root: Path) -> list[str]:
    """Check that every module is imported by another one, and that every export has a use."""
    imports = all_imports(root)
    targets = {item.target for item in imports}
    used = {(item.target, name) for item in imports for name in item.names}
    unreached = [f"{name} is imported nowhere" for name in modules(root) if name not in targets and name != ENTRY]
    unused = [
        f"{module} exports {name}, which no other module imports"
        for module in modules(root)
        for name in EXPORT.findall((root / module).read_text(encoding="utf-8"))
        # The router calls `open` of the page module that it has loaded.
        if (module, name) not in used and not (folder_of(module) == "pages" and name == "open")
    ]
    return unreached + unused


def check_navigation(root: Path) -> list[str]:
    """Check that pages are opened by a literal path, or by lib/addresses.js, which refuses other sites and schemes."""
    return [
        f"{name} opens {address.strip()}"
        for name in modules(root)
        if name != "lib/addresses.js"
        for address in OPENED.findall((root / name).read_text(encoding="utf-8"))
        if not OWN_PATH.match(address)
    ]


def check_texts(root: Path) -> list[str]:
    """Check that texts reach the page, a canvas or a list of parts only by functions that know directions."""
    return [
        f"{name} has {found}"
        for name in modules(root)
        for pattern, owner in TEXTS.items()
        if name != owner
        for found in re.findall(pattern, (root / name).read_text(encoding="utf-8"))
    ]


Check = Callable[[Path], list[str]]
CHECKS: tuple[Check, ...] = (
    check_folders,
    check_names,
    check_targets,
    check_cycles,
    check_direction,
    check_unused,
    check_navigation,
    check_texts,
)


@pytest.mark.parametrize("check", CHECKS)
def test_the_modules_follow_the_rules(check: Check) -> None:
    assert len(modules(ROOT)) > 40
    assert check(ROOT) == []


@pytest.mark.parametrize(
    ("check", "path", "text"),
    [
        (check_folders, "loose.js", "export const one = 1;\n"),
        (check_folders, "alone/only.js", "export const one = 1;\n"),
        (check_folders, "misc/one.js", "export const one = 1;\n"),
        (check_names, "lib/camelCase.js", "export const one = 1;\n"),
        (check_targets, "lib/broken.js", "import { el } from './no-such-file.js';\n"),
        (check_targets, "lib/broken.js", "import { noSuchName } from './dom.js';\n"),
        (check_targets, "pages/broken.js", "const load = () => import('./no-such-page.js');\n"),
        (check_cycles, "lib/ring.js", "import './ring.js';\n"),
        (check_cycles, "lib/up.js", "import { get } from '../api/client.js';\n"),
        (check_direction, "lib/up.js", "import { get } from '../api/client.js';\n"),
        (check_direction, "account/aside.js", "import { Seats } from '../seatmap/seats.js';\n"),
        (check_direction, "ui/top.js", "import '../main.js';\n"),
        (check_unused, "lib/unused.js", "export const one = 1;\n"),
        (check_navigation, "lib/open.js", "location.assign(next);\n"),
        (check_navigation, "lib/open.js", "window.open('//host');\n"),
        (check_navigation, "lib/open.js", "location.href = next;\n"),
        (check_texts, "ui/text.js", "node.textContent = event.title;\n"),
        (check_texts, "ui/text.js", "node.innerHTML = event.title;\n"),
        (check_texts, "ui/text.js", "ctx.fillText(event.title, 0, 0);\n"),
        (check_texts, "ui/text.js", "const text = [event.title, price].join(' · ');\n"),
        (check_texts, "ui/text.js", "const text = [venue.name, venue.city].filter(Boolean).join(', ');\n"),
        (check_texts, "ui/text.js", "const text = `${event.title} · ${price}`;\n"),
    ],
)
def test_each_rule_finds_its_violation(check: Check, path: str, text: str, tmp_path: Path) -> None:
    root = shutil.copytree(ROOT, tmp_path / "js")
    (root / path).parent.mkdir(exist_ok=True)
    (root / path).write_text(text, encoding="utf-8")
    assert check(root)


def test_no_folder_is_wider_than_the_limit(tmp_path: Path) -> None:
    root = shutil.copytree(ROOT, tmp_path / "js")
    for number in range(MAX_FILES):
        (root / "lib" / f"extra-{number}.js").touch()
    assert check_folders(root) == [f"lib/ has {len(list((ROOT / 'lib').iterdir())) + MAX_FILES} files"]


def test_every_page_that_the_server_names_has_a_module_and_a_route() -> None:
    router = (ROOT / "pages" / "router.js").read_text(encoding="utf-8")
    routed = {
        Path(item.target).stem for item in imports_of(ROOT, "pages/router.js") if folder_of(item.target) == "pages"
    }
    assert set(PAGE_MODULES) == routed == {path.stem for path in (ROOT / "pages").iterdir()} - {"router"}
    assert router.count("import(") == len(PAGE_MODULES)


def test_every_file_that_the_shell_links_exists() -> None:
    files = Assets().files
    linked = re.findall(r'"\$assets/([^"]+)"', (FOLDER / "index.html").read_text(encoding="utf-8"))
    assert len(linked) > 4
    assert [name for name in linked if name not in files] == []
    assert {name for name in files if name.endswith(".css")} <= set(linked)


def test_a_page_preloads_every_module_that_it_imports_statically() -> None:
    assets = Assets()
    for name in PAGE_MODULES:
        entry = f"pages/{name}.js"
        waiting, reached = [entry], set[str]()
        while waiting:
            module = waiting.pop()
            reached.add(module)
            waiting += [item.target for item in imports_of(ROOT, module) if item.target not in reached]
        assert set(assets.modules_of(f"js/{entry}")) == {f"js/{module}" for module in reached}
