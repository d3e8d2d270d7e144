"""`ticketing outbox`: the log and its readers, to look at, to read once more, and to tidy."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from ticketing.cli.context import (
    WRONG_USE,
    Yes,
    errors_in_one_sentence,
    fail,
    log_to_stderr,
    platforms_settings,
    with_database,
)
from ticketing.cli.options import SINCE_HELP, read_since
from ticketing.infra.config import Settings

if TYPE_CHECKING:
    from ticketing.infra.db import Database

outbox = typer.Typer(help="The log of facts, and those who read it.", no_args_is_help=True)


@outbox.command("status")
def show_status() -> None:
    """Show the log by partition, each reader with its cursor and lease, and who holds up all of them.

    A reader in brackets does not count, the way messages travel now: nothing is kept for it.
    """
    from ticketing.cli import outbox_list
    from ticketing.infra.outbox import status

    async def look(database: "Database") -> None:
        async with database.transaction() as session:
            partitions = await status.read_partitions(session)
            readers = await status.read_readers(session, over_kafka=settings.is_distributed)
            pins = await status.read_horizon_holders(session)
        outbox_list.show("partition", outbox_list.PARTITION, [*map(outbox_list.partition_row, partitions)])
        outbox_list.show("reader", outbox_list.READER, [*map(outbox_list.reader_row, readers)])
        if pins:
            outbox_list.show("pin", outbox_list.PIN, [*map(outbox_list.pin_row, pins)])

    with errors_in_one_sentence():
        settings = platforms_settings()
        asyncio.run(with_database(settings, look))


@outbox.command("lag")
def show_lag(
    max_seconds: Annotated[float | None, typer.Option(help="Exit status 1 when somebody lags more.", min=0)] = None,
) -> None:
    """Show a line for each reader: its name, the age in seconds of what it has not read, and how many rows.

    Over Kafka also one for each group and topic: how long an offset has stood still before messages, and how many.
    """
    from ticketing.cli.outbox_lag import measure

    with errors_in_one_sentence():
        settings = platforms_settings()
        lines, trouble = asyncio.run(with_database(settings, lambda database: measure(settings, database)))
    for name, seconds, rows in lines:
        typer.echo(f"{name}\t{seconds:.1f}\t{rows}")
    if trouble or not lines:
        fail(trouble or "nobody has ever read the log", 1)
    if max_seconds is not None and max(seconds for _, seconds, _ in lines) > max_seconds:
        raise typer.Exit(1)


@outbox.command("replay")
def replay(
    since: Annotated[str, typer.Option(help=SINCE_HELP)],
    topic: Annotated[list[str], typer.Option(help="The topic; say it again for more of them.")],
    group: Annotated[str | None, typer.Option(help="Bring them to this consumer group alone, here and now.")] = None,
    yes: Yes = False,
) -> None:
    """Bring a part of the log once more, in its order, each message under its own id.

    With Kafka it is published again, for a broker that was rebuilt or a reader that is new; without, and with --group,
    it is brought to the groups that react and have not done it. Our consumers know by the inbox what they have done.
    """
    from ticketing.cli import outbox_replay as outbox_again

    with errors_in_one_sentence():
        settings, moment = platforms_settings(), read_since(since)
        log_to_stderr(settings)
        asyncio.run(with_database(settings, lambda d: outbox_again.replay(settings, d, moment, topic, group, yes)))


@outbox.command("forget")
def forget(reader: Annotated[str, typer.Argument(help="Its name, as `status` shows it.")], yes: Yes = False) -> None:
    """Let go of a reader that is gone for good: what it has not read is no longer kept for it.

    If it comes back, it begins with the oldest row that there is.
    """
    with errors_in_one_sentence():
        settings = platforms_settings()
        log_to_stderr(settings)
        asyncio.run(with_database(settings, lambda database: _forget(settings, database, reader, yes)))


async def _forget(settings: Settings, database: "Database", name: str, yes: bool) -> None:
    from ticketing.infra.outbox import replay as outbox_replay
    from ticketing.infra.outbox import status as outbox_state

    async with database.transaction() as session:
        readers = await outbox_state.read_readers(session, over_kafka=settings.is_distributed)
    reader = next((one for one in readers if one.reader == name), None)
    if reader is None:
        fail(f"there is no reader {name}; there are {', '.join(one.reader for one in readers) or 'none'}", WRONG_USE)
    if not yes:
        typer.echo(f"{name} would be forgotten, with {reader.unread} rows that it has not read. With --yes it is done.")
    elif not await outbox_replay.forget(database, name):
        fail(f"{name} is being read for by {reader.lease_owner}; stop that process first", 1)
    else:
        typer.echo(f"{name} is forgotten.")
