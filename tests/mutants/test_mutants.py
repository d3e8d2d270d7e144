"""The quick mutants run with the ordinary tests; `make mutants` runs all of them."""

import ast
import shutil
from pathlib import Path

import pytest

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import ROOT, Edit, Mutant, NotFoundOnce, mutate
from tests.mutants.trial import RunFailed, failed_tests, passed_tests

QUICK = [mutant for mutant in MUTANTS if mutant.is_quick]


def named(mutant: Mutant) -> str:
    return mutant.name


@pytest.mark.parametrize("mutant", MUTANTS, ids=named)
def test_a_mutant_finds_the_text_that_it_replaces(tmp_path: Path, mutant: Mutant) -> None:
    for edit in mutant.edits:
        (tmp_path / edit.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / edit.path, tmp_path / edit.path)
    mutate(tmp_path, mutant)
    for edit in mutant.edits:
        assert (tmp_path / edit.path).read_text() != (ROOT / edit.path).read_text()
        ast.parse((tmp_path / edit.path).read_text())


@pytest.mark.parametrize("test", sorted({test for mutant in MUTANTS for test in mutant.tests}))
def test_the_tests_that_a_mutant_names_exist(test: str) -> None:
    path, _, name = test.partition("::")
    defined = ast.walk(ast.parse((ROOT / path).read_text()))
    assert name in {node.name for node in defined if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("mutant", QUICK, ids=named)
def test_a_quick_mutant_is_caught(tmp_path: Path, mutant: Mutant) -> None:
    assert passed_tests(tmp_path, mutant) == set()


@pytest.mark.parametrize("count", [0, 2])
def test_a_mutant_whose_text_is_not_found_once_is_refused(tmp_path: Path, count: int) -> None:
    (tmp_path / "a.py").write_text("word\n" * count)
    with pytest.raises(NotFoundOnce, match=f"a.py contains it {count} times"):
        mutate(tmp_path, Mutant("one", "", (Edit("a.py", "word", "other"),), ()))


def test_a_test_that_cannot_start_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("import nothing_of_this_name\ndef test_it(): ...\n")
    with pytest.raises(RunFailed, match="test_it"):
        failed_tests(tmp_path, ["test_it.py::test_it"])


def test_mutant_names_are_unique() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
