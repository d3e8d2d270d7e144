"""`ticketing outbox status` and `forget`: partitions of the log, its readers, and what holds them up."""

import asyncio

import typer
from rich.console import Console

from ticketing.cli.actions.operators import log_to_stderr, with_database
from ticketing.cli.context import WRONG_USE, fail, platform_settings
from ticketing.cli.tables import format_seconds, format_time, open_console, print_rows
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.outbox import replay, status
from ticketing.infra.outbox.status import ROWS_MAX, HorizonHolder, Partition, Reader

PARTITION_COLUMNS = ("partition", "rows", "bytes", "oldest", "newest")
READER_COLUMNS = ("reader", "unread", "oldest unread", "cursor", "lease", "lease until", "seen")
PIN_COLUMNS = ("pinned by", "process", "seconds")


def show() -> None:
    settings = platform_settings()

    async def read(database: Database) -> tuple[list[Partition], list[Reader], list[HorizonHolder]]:
        async with database.transaction() as session:
            return (
                list(await status.read_partitions(session)),
                list(await status.read_readers(session, over_kafka=settings.is_distributed)),
                list(await status.read_horizon_holders(session)),
            )

    print_status(*asyncio.run(with_database(settings, read)))


def print_status(
    partitions: list[Partition], readers: list[Reader], holders: list[HorizonHolder], console: Console | None = None
) -> None:
    console = console or open_console()
    print_rows(PARTITION_COLUMNS, [*map(_partition_row, partitions)], line_prefix="partition", console=console)
    print_rows(READER_COLUMNS, [*map(_reader_row, readers)], line_prefix="reader", console=console)
    if holders:
        print_rows(PIN_COLUMNS, [*map(_pin_row, holders)], line_prefix="pin", console=console)


def forget(name: str, yes: bool) -> None:
    """Deregister the reader if `yes`, else report what it has not read; end with status 2 if there is no such reader,
    and 1 if it holds a lease."""
    settings = platform_settings()
    log_to_stderr(settings)
    asyncio.run(with_database(settings, lambda database: _forget(settings, database, name, yes)))


async def _forget(settings: Settings, database: Database, name: str, yes: bool) -> None:
    async with database.transaction() as session:
        readers = await status.read_readers(session, over_kafka=settings.is_distributed)
    reader = next((each for each in readers if each.reader == name), None)
    if reader is None:
        known = ", ".join(each.reader for each in readers) or "none"
        fail(f"there is no reader {name}; the readers are: {known}", WRONG_USE)
    if not yes:
        typer.echo(f"{name} would be forgotten, with {reader.unread} unread rows. With --yes it is done.")
    elif not await replay.forget(database, name):
        fail(f"{name} is in use by {reader.lease_owner}; stop that process first", 1)
    else:
        typer.echo(f"{name} is forgotten.")


def _partition_row(partition: Partition) -> tuple[str, ...]:
    times = (format_time(partition.oldest_at), format_time(partition.newest_at))
    return partition.name, _count(partition.rows), str(partition.bytes), *times


def _reader_row(reader: Reader) -> tuple[str, ...]:
    return (
        reader.reader if reader.counts else f"({reader.reader})",
        _count(reader.unread),
        format_seconds(reader.seconds) if reader.unread else "-",
        reader.cursor,
        reader.lease_owner or "-",
        format_time(reader.lease_until),
        format_time(reader.updated_at),
    )


def _pin_row(holder: HorizonHolder) -> tuple[str, ...]:
    seconds = "-" if holder.seconds is None else format_seconds(holder.seconds)
    return holder.application, str(holder.pid or "-"), seconds


def _count(rows: int) -> str:
    """Rows are counted up to a limit, so that the command stays quick on a long log."""
    return f"{ROWS_MAX}+" if rows >= ROWS_MAX else str(rows)
