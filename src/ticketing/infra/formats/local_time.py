"""Times as people at a place read them. Where clocks go back, one hour happens twice, and its times name their half."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo


def to_zone(moment: datetime, timezone: str) -> datetime:
    """The local time in the zone with this IANA name."""
    return moment.astimezone(ZoneInfo(timezone))


def is_repeated(local: datetime) -> bool:
    """Whether the clock at this place shows this local time twice."""
    offsets = {local.replace(fold=fold).utcoffset() for fold in (0, 1)}
    # A time that the clock skips has two offsets as well, but no moment has such a local time.
    return len(offsets) == 2


def clock(local: datetime) -> str:
    """`19:30`; `02:30 CEST` where the clock shows 02:30 twice."""
    return f"{local:%H:%M} {_abbreviation(local)}" if is_repeated(local) else f"{local:%H:%M}"


def zone_label(timezone: str) -> str:
    """The time zone as people read it: `Amsterdam time`."""
    return "UTC" if timezone == "UTC" else f"{timezone.rpartition('/')[2].replace('_', ' ')} time"


def _abbreviation(local: datetime) -> str:
    name = local.tzname() or ""
    if name.isalpha():
        return name
    offset = local.utcoffset() or timedelta()
    sign, minutes = "-" if offset < timedelta() else "+", abs(offset) // timedelta(minutes=1)
    return f"UTC{sign}{minutes // 60:02}:{minutes % 60:02}"
