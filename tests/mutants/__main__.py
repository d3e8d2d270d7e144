"""`make mutants`: apply every mutant; its tests must fail, and pass without it.

Arguments select mutants by a part of their names.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant, NotFoundOnce
from tests.mutants.trial import RunFailed, copy_project, failed_tests, passed_tests


def main(words: Sequence[str]) -> int:
    """Print a line per mutant; 1 if a mutant survives or a test fails without mutants, 2 if none is selected."""
    selected = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    failures = _try_unmutated(selected)
    for mutant in selected:
        started = time.monotonic()
        verdict = _try(mutant)
        _print_line(
            f"{'caught' if verdict is None else 'ALIVE ':>6}  {time.monotonic() - started:5.1f} s  {mutant.name}"
        )
        if verdict is not None:
            _print_line(f"                 {verdict}")
            failures += 1
    _print_line(
        f"{len(selected) - failures} of {len(selected)} mutants were caught." if selected else "No mutant matches."
    )
    return min(failures, 1) if selected else 2


def _try_unmutated(mutants: Sequence[Mutant]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        failed = failed_tests(copy_project(Path(folder)), {test for mutant in mutants for test in mutant.tests})
    for test in sorted(failed):
        _print_line(f"FAILS WITHOUT MUTANTS  {test}")
    return len(failed)


def _try(mutant: Mutant) -> str | None:
    """Why the mutant was not caught; None if it was."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            passed = passed_tests(Path(folder), mutant)
        except (NotFoundOnce, RunFailed) as error:
            return str(error)
    return f"not caught by {', '.join(sorted(passed))}: {mutant.harm}" if passed else None


def _print_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
