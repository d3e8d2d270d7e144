"""Prints the tests for `make check`: those of the files that differ from the last commit, then a fast core.

The tests of a file follow from the rule that tests/ mirrors src/ticketing/: the test file or the folder of the same
name, or the nearest folder above it. Tests that start processes, brokers or browsers are left to `make test`.
"""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
SOURCE = PurePosixPath("src/ticketing")
TESTS = PurePosixPath("tests")
#: Always tested: the structure, the published names, and one path through holds, orders and the message log.
CORE = (
    "tests/test_architecture.py",
    "tests/contract",
    "tests/modules/reservations/test_holds.py",
    "tests/modules/orders/test_orders.py",
    "tests/infra/outbox/test_reader.py",
)
#: Tests of files outside src/ticketing and tests.
ELSEWHERE = {"migrations": "tests/infra/db", "docs": "tests/docgen", "audits": "tests/test_audits.py"}
SLOW = {"browser", "chaos", "crashes", "e2e", "fuzz", "kafka", "model", "mutants", "rehearsal", "sweeps", "support"}


def changed_files() -> list[str]:
    """The files that differ from the last commit, including new ones; if there are none, those of the last commit."""
    new = ["ls-files", "--others", "--exclude-standard"]
    return [*_git("diff", "--name-only", "HEAD"), *_git(*new)] or _git("diff", "--name-only", "HEAD~1", "HEAD")


def select_tests(changed: Iterable[str], root: Path = ROOT) -> list[str]:
    """The test files and folders for these files, without duplicates and without those inside another one."""
    return _without_nested(test for name in changed for test in _select(PurePosixPath(name), root))


def _without_nested(tests: Iterable[str]) -> list[str]:
    found = dict.fromkeys(tests)
    return [test for test in found if not any(str(above) in found for above in PurePosixPath(test).parents)]


def _select(path: PurePosixPath, root: Path) -> Iterator[str]:
    if path.is_relative_to(TESTS):
        is_test = path.name.startswith("test_") and (root / path).exists()
        inside, nearest = path.relative_to(TESTS), path if is_test else path.parent
    elif path.is_relative_to(SOURCE):
        inside = path.relative_to(SOURCE)
        nearest = _mirror_of(inside, root)
    elif path.parts[0] in ELSEWHERE:
        yield ELSEWHERE[path.parts[0]]
        return
    else:
        return
    if not SLOW & set(inside.parts) and len(nearest.parts) > 1 and (root / nearest).exists():
        yield str(nearest)


def _mirror_of(inside: PurePosixPath, root: Path) -> PurePosixPath:
    same_name = TESTS / inside.parent / f"test_{inside.stem}.py"
    if (root / same_name).exists():
        return same_name
    folders = (TESTS / above for above in inside.parents)
    return next(folder for folder in folders if (root / folder).is_dir())


def _git(*arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


def main() -> int:
    print(*_without_nested([*select_tests(changed_files()), *CORE]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
