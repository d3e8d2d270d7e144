"""What `ticketing outbox` shows: tables on a terminal, and lines that a script can cut at tabs anywhere else."""

from collections.abc import Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ticketing.infra.outbox.replay import TopicCount
from ticketing.infra.outbox.status import ROWS_MAX, HorizonHolder, Partition, Reader

PARTITION = ("partition", "rows", "bytes", "oldest", "newest")
READER = ("reader", "unread", "oldest unread", "cursor", "lease", "lease until", "seen")
PIN = ("pinned by", "process", "seconds")
REPLAY = ("topic", "rows", "not done", "from", "to")


def show(name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """One table, to standard output; in a script's lines its name comes first."""
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        for row in rows:
            console.file.write("\t".join((name, *row)) + "\n")
        return
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
    console.print()


def partition_row(one: Partition) -> tuple[str, ...]:
    return one.name, _count(one.rows), str(one.bytes), _time(one.oldest_at), _time(one.newest_at)


def reader_row(one: Reader) -> tuple[str, ...]:
    age = seconds(one.seconds) if one.unread else "-"
    lease = (one.lease_owner or "-", _time(one.lease_until))
    return (
        one.reader if one.counts else f"({one.reader})",
        _count(one.unread),
        age,
        one.cursor,
        *lease,
        _time(one.updated_at),
    )


def pin_row(one: HorizonHolder) -> tuple[str, ...]:
    return one.application, str(one.pid or "-"), "-" if one.seconds is None else seconds(one.seconds)


def replay_row(one: TopicCount, has_inbox: bool) -> tuple[str, ...]:
    return one.topic, str(one.rows), str(one.unprocessed) if has_inbox else "-", _time(one.from_at), _time(one.to_at)


def seconds(age: float) -> str:
    return f"{max(age, 0):.1f}"


def _count(rows: int) -> str:
    return f"{ROWS_MAX}+" if rows >= ROWS_MAX else str(rows)


def _time(moment: datetime | None) -> str:
    return "-" if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")
