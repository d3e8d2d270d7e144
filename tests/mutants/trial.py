"""A copy of the project with a wound in it, and the tests that run there, in a process of their own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from tests.mutants.mutant import ROOT, Mutant, mutate

TIMEOUT_SECONDS = 600
_COPIED = ("src", "migrations", "tests", "docs", "pyproject.toml")
# With its bytecode: Python compiles again only what the mutant changes.
_NOT_COPIED = shutil.ignore_patterns("mutants")
FAILED, PASSED = 1, 0


class NotATrial(Exception):
    """The tests did not run to an end: an import failed, say, so nothing was proved."""


def failed_tests(folder: Path, tests: Collection[str]) -> set[str]:
    """Run these tests in a copy of the project; those that failed, without what stands in brackets.

    Raises:
        NotATrial: with the last lines of the run.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rf", "--tb=no", "--show-capture=no"]
    # Without the shrinking of a story: that it fails is all that is asked.
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "FUZZ": "first"}
    run = subprocess.run(
        [*command, *sorted(tests)], cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
    )
    lines = run.stdout.splitlines()
    if run.returncode not in {PASSED, FAILED} or any(line.startswith("ERROR ") for line in lines):
        raise NotATrial("\n".join([*lines[-20:], run.stderr[-2000:]]))
    return {line.split()[1].partition("[")[0] for line in lines if line.startswith("FAILED ")}


def copy_project(folder: Path) -> Path:
    """A copy to wound, with everything that the tests look at."""
    for name in _COPIED:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=_NOT_COPIED)
        else:
            shutil.copy(source, target)
    return folder


def survivors(folder: Path, mutant: Mutant) -> set[str]:
    """The tests that should have felt the mutant and did not. Raises NotFoundOnce, NotATrial."""
    copied = copy_project(folder)
    mutate(copied, mutant)
    return set(mutant.tests) - failed_tests(copied, mutant.tests)
