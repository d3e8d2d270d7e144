"""The short form: a few rounds of each fault, for every run of the tests."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.chaos.faults.fault import Fault
from tests.chaos.results_table import Table
from tests.chaos.run import play_on

#: The machine of the tests may be busy with other tests; the long form holds viewers to two seconds.
VIEW_SECONDS = 8.0


async def play_short(faults: Sequence[Fault], rounds_of_each: int) -> list[str]:
    """Play them by turns on one ground; everything that was not as it should be."""
    table = Table()
    # A short path: the socket of Valkey is in it, and pytest's own folders leave no room for that.
    with TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder:
        await play_on(faults[0].kind, [*faults] * rounds_of_each, True, Path(folder) / "ground", table, VIEW_SECONDS)
    return table.violations
