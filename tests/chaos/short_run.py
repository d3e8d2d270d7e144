"""The short form for `make test`: one round of each fault, under a light load."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.chaos.faults.fault import Fault
from tests.chaos.results_table import Table
from tests.chaos.run import play_on

#: The machine of the tests may be busy with other tests; the long form holds viewers to two seconds.
VIEW_SECONDS = 20.0
#: Enough for holds, orders, payments and races to be under way whenever the fault comes.
BUYERS = 2


async def play_short(faults: Sequence[Fault]) -> list[str]:
    """Play them one after the other on one platform; everything that was not as it should be."""
    table = Table()
    # A short path: the socket of Valkey is in it, and pytest's own folders leave no room for that.
    with TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder:
        place = Path(folder) / "ground"
        await play_on(faults[0].kind, faults, True, place, table, view_seconds=VIEW_SECONDS, buyers=BUYERS)
    return table.violations
