"""`make mutants`: every mutant is made and must be felt by its tests, which must pass without it.

Arguments choose mutants by a part of their names.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant, NotFoundOnce
from tests.mutants.trial import NotATrial, copy_project, failed_tests, survivors


def main(words: Sequence[str]) -> int:
    """Print a line for each mutant; the number of those that nobody felt, and of tests that fail without any."""
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    bad = _try_unmutated(chosen)
    for mutant in chosen:
        begun = time.monotonic()
        verdict = _try(mutant)
        _say(f"{'caught' if verdict is None else 'ALIVE ':>6}  {time.monotonic() - begun:5.1f} s  {mutant.name}")
        if verdict is not None:
            _say(f"                 {verdict}")
            bad += 1
    _say(f"{len(chosen) - bad} of {len(chosen)} mutants were caught." if chosen else "No mutant has such a name.")
    return min(bad, 1) if chosen else 2


def _try_unmutated(mutants: Sequence[Mutant]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        failed = failed_tests(copy_project(Path(folder)), {test for mutant in mutants for test in mutant.tests})
    for test in sorted(failed):
        _say(f"FAILS WITHOUT ANY MUTANT  {test}")
    return len(failed)


def _try(mutant: Mutant) -> str | None:
    """What is wrong with this mutant; None when it was caught."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            unfelt = survivors(Path(folder), mutant)
        except (NotFoundOnce, NotATrial) as error:
            return str(error)
    return f"not felt by {', '.join(sorted(unfelt))}: {mutant.harm}" if unfelt else None


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
