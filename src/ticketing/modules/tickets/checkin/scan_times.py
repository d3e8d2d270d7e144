"""Bounds on the time of a scan, which comes from a scanner's clock and decides which scan was the first."""

from datetime import datetime, timedelta
from typing import NamedTuple

#: How far a scanner's clock may be ahead of Postgres's. Phones that set their time over a network differ by seconds.
CLOCK_AHEAD_MAX = timedelta(minutes=2)


class ScanTime(NamedTuple):
    """The time of a scan. `claimed_at` is the scanner's time where the arrival time has replaced it, else None."""

    scanned_at: datetime
    claimed_at: datetime | None

    @property
    def is_corrected(self) -> bool:
        return self.claimed_at is not None


def bound_scan_time(claimed: datetime | None, issued_at: datetime, arrived_at: datetime) -> ScanTime:
    """The scanner's time, or the arrival time if the scan cannot have been made then or no time was sent.

    A ticket cannot be scanned before it is issued, and a scan cannot be made after it has arrived.
    """
    if claimed is None:
        return ScanTime(arrived_at, None)
    if issued_at <= claimed <= arrived_at + CLOCK_AHEAD_MAX:
        return ScanTime(claimed, None)
    return ScanTime(arrived_at, claimed)
