"""The short form for `make test`: one round of each fault, under a light load."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.chaos.faults.fault import Fault
from tests.chaos.results_table import Table
from tests.chaos.run import run_rounds

#: Generous, because other tests load the machine at the same time; the long form allows viewers two seconds.
VIEW_SECONDS = 20.0
#: Enough for holds, orders, payments and races to be in progress when the fault is injected.
BUYERS = 2


async def run_short(faults: Sequence[Fault]) -> list[str]:
    """Run one round of each fault on one platform; returns all violations."""
    table = Table()
    # The path of Valkey's socket is limited to about 100 bytes, and pytest's folders are too long for it.
    with TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder:
        data = Path(folder) / "platform"
        await run_rounds(faults[0].kind, faults, True, data, table, view_seconds=VIEW_SECONDS, buyers=BUYERS)
    return table.violations
