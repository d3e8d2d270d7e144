"""The database's clock as this process knows it, for deadlines that are checked without a query.

Machines agree on it, and no jump of this machine's wall clock changes it: between two measurements it runs with the
monotonic clock. Before the first measurement, and in processes that make none, it is the wall clock.
"""

import time

#: A measurement that took longer says too little: the process may have been stopped meanwhile.
ROUND_TRIP_SECONDS_MAX = 1.0

_offset: float | None = None


def now() -> float:
    """Seconds since the epoch."""
    return time.time() if _offset is None else time.monotonic() + _offset


def measure(database_time: float, asked_at: float) -> None:
    """Take over the time that the database has just returned; `asked_at` is on `time.monotonic`."""
    global _offset
    seconds = time.monotonic() - asked_at
    if seconds <= ROUND_TRIP_SECONDS_MAX:
        _offset = database_time - asked_at - seconds / 2
