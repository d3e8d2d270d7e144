"""The wall clock of all Python processes jumps while they serve; PostgreSQL's clock does not.

By four minutes: beyond five, a payment provider's signatures count as too old (see docs/reliability.md).
"""

import asyncio
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.chaos.faults.fault import Fault
from tests.chaos.platform import Platform, until_true

if TYPE_CHECKING:
    from tests.chaos.load.buyers import Load

JUMP_SECONDS = 240
SOURCE = Path(__file__).parents[1] / "wall_clock.c"
_OFFSET_FILE = "CLOCK_OFFSET_FILE"
#: A job writes to this table every ten seconds, by the clock that jumps, and at once after a jump.
_HAS_RUN = "select coalesce(max(seen_at) > %s, false) from log_horizons"
JOB_SECONDS = 60.0


def movable(folder: Path) -> dict[str, str]:
    """Variables with which a platform's wall clock can be moved; none without a C compiler."""
    if shutil.which("cc") is None:
        return {}
    library, offset = folder / "wall_clock.so", folder / "wall_clock.offset"
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-ldl"], check=True)
    offset.write_text("0")
    return {"LD_PRELOAD": str(library), _OFFSET_FILE: str(offset)}


async def move(seconds: int, platform: Platform) -> None:
    """Does nothing without a C compiler."""
    if path := platform.variables.get(_OFFSET_FILE):
        await asyncio.to_thread(Path(path).write_text, str(seconds))


async def check_jobs(platform: Platform, load: "Load") -> list[str]:
    """Purchases succeed, and jobs run, while the clock is wrong."""
    [[jumped_at]] = await platform.query("select now()")
    await load.buy()
    return [] if await until_true(platform, JOB_SECONDS, _HAS_RUN, jumped_at) else ["no job ran after the jump"]


def _jump(name: str, seconds: int) -> Fault:
    there, back = partial(move, seconds), partial(move, 0)
    return Fault(name, "clocks", there, back, seconds=5.0, short_seconds=1.0, act=check_jobs)


CLOCKS = [
    _jump("wall clock ahead", JUMP_SECONDS),
    _jump("wall clock behind", -JUMP_SECONDS),
]
