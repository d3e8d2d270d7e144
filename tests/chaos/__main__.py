"""`python -m tests.chaos kills --rounds 300`: inject faults in rounds, print a line for each and a table at the end."""

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.faults.catalogue import FAULTS, choose
from tests.chaos.results_table import Table
from tests.chaos.run import run_all


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"faults or groups of faults; default: all. {_known()}")
    parser.add_argument(
        "--rounds", type=int, default=0, help="rounds in all, over the faults in turn; default: one of each"
    )
    parser.add_argument("--short", action="store_true", help="outages last seconds instead of a minute")
    parser.add_argument("--folder", type=Path, help="the platform's files; default: a temporary folder")
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"), help="where the table is written")
    chosen = parser.parse_args()
    try:
        faults = choose(chosen.names)
    except LookupError as error:
        parser.error(str(error))
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="chaos-"))
    table = Table(chosen.artifacts)
    try:
        asyncio.run(run_all(faults, chosen.rounds or len(faults), chosen.short, folder, table))
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)  # noqa: T201
    finally:
        if chosen.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(table.as_text())  # noqa: T201
    return 1 if table.violations else 0


def _known() -> str:
    return ", ".join([*sorted({fault.group for fault in FAULTS}), *(fault.name for fault in FAULTS)])


if __name__ == "__main__":
    sys.exit(main())
