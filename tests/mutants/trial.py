"""Runs tests in a mutated copy of the project, in a separate process."""

import os
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from tests.mutants.mutant import ROOT, Mutant, mutate

TIMEOUT_SECONDS = 600
_COPIED = ("src", "migrations", "tests", "docs", "pyproject.toml")
# The bytecode is copied as well: Python recompiles only the mutated files.
_NOT_COPIED = shutil.ignore_patterns("mutants")
FAILED, PASSED = 1, 0


class RunFailed(Exception):
    """The tests did not finish, for example because an import failed, so the result proves nothing."""


def failed_tests(folder: Path, tests: Collection[str]) -> set[str]:
    """Run tests in a copy of the project; returns those that failed, without their parameters.

    Raises:
        RunFailed: with the last lines of the output.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rf", "--tb=no", "--show-capture=no"]
    # Without shrinking: only the failure matters.
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "FUZZ": "first"}
    run = subprocess.run(
        [*command, *sorted(tests)], cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
    )
    lines = run.stdout.splitlines()
    if run.returncode not in {PASSED, FAILED} or any(line.startswith("ERROR ") for line in lines):
        raise RunFailed("\n".join([*lines[-20:], run.stderr[-2000:]]))
    return {line.split()[1].partition("[")[0] for line in lines if line.startswith("FAILED ")}


def copy_project(folder: Path) -> Path:
    """Copy the parts of the project that the tests need."""
    for name in _COPIED:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=_NOT_COPIED)
        else:
            shutil.copy(source, target)
    return folder


def passed_tests(folder: Path, mutant: Mutant) -> set[str]:
    """The tests of the mutant that passed although they must fail. Raises NotFoundOnce, RunFailed."""
    copied = copy_project(folder)
    mutate(copied, mutant)
    return set(mutant.tests) - failed_tests(copied, mutant.tests)
