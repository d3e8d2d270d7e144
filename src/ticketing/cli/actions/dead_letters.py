"""What the commands of `ticketing dlq` do."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import orjson
import typer
from rich.console import Console
from rich.text import Text

from ticketing.cli.actions.operators import log_to_stderr, with_database
from ticketing.cli.actions.since import parse_since
from ticketing.cli.context import fail, platform_settings
from ticketing.cli.tables import format_time, open_console, print_rows
from ticketing.infra import mail, redis
from ticketing.infra.bus import redelivery
from ticketing.infra.bus.dead_letters import DeadLetter
from ticketing.infra.bus.error_text import first_line
from ticketing.infra.bus.redelivery import Outcome, Selection
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.kafka.producer import KafkaProducer
from ticketing.workers.consumers import groups
from ticketing.workers.relay_redelivery import Republish

COLUMNS = ("id", "created", "consumer", "topic", "attempts", "error")
ERROR_CHARACTERS = 120

#: Acts on the dead letters with these IDs; True if all of them succeeded.
Act = Callable[[Settings, Database, Sequence[int]], Awaitable[bool]]


def selection(
    ids: Sequence[int], topic: str | None = None, consumer: str | None = None, since: str | None = None
) -> Selection:
    """The dead letters that meet every condition given. Raises ConfigurationError if `since` is not a time or age."""
    return Selection(ids, topic, consumer, parse_since(since) if since else None)


def print_list(selected: Selection, limit: int) -> None:
    found = asyncio.run(with_database(platform_settings(), lambda database: _find(database, selected, limit + 1)))
    print_dead_letters(found[:limit], is_cut=len(found) > limit)


def print_one(dead_letter_id: int) -> None:
    """Print all that is stored of one dead letter, as JSON; end with status 1 if it does not exist."""
    selected = selection([dead_letter_id])
    found = asyncio.run(with_database(platform_settings(), lambda database: _find(database, selected, 1)))
    if not found:
        fail(f"there is no dead letter {dead_letter_id}", 1)
    typer.echo(as_json(found[0]))


def replay(selected: Selection, *, yes: bool) -> bool:
    """Process the messages again if `yes`, else report which. Returns True if all were found and processed."""
    return _act(selected, "replayed", yes, _replay)


def drop(selected: Selection, *, yes: bool) -> bool:
    """Delete the dead letters if `yes`, else report which. Returns True if all were found and deleted."""
    return _act(selected, "dropped", yes, _drop)


def _act(selected: Selection, done: str, yes: bool, act: Act) -> bool:
    settings = platform_settings()
    log_to_stderr(settings)

    async def run(database: Database) -> bool:
        found = await _find(database, selected, None)
        missing = sorted(set(selected.ids) - {each.id for each in found})
        for dead_letter_id in missing:
            typer.echo(f"{dead_letter_id}\tgone\tthere is no such dead letter")
        if yes:
            return await act(settings, database, [each.id for each in found]) and not missing
        print_dead_letters(found)
        typer.echo(f"{_count(len(found))} would be {done}; nothing was changed. With --yes it is done.", err=True)
        return not missing

    return asyncio.run(with_database(settings, run))


async def _replay(settings: Settings, database: Database, ids: Sequence[int]) -> bool:
    connection = redis.connect(settings)
    producer = KafkaProducer(settings.kafka_bootstrap_servers, "replay")
    try:
        relays = [Republish(producer)] if settings.is_distributed else []
        by_name = {group.name: group for group in (*groups(connection, mail.connect(settings)), *relays)}
        are_all_done = True
        for dead_letter_id in ids:
            outcome, reason = await redelivery.redeliver(database, by_name, dead_letter_id)
            typer.echo("\t".join(filter(None, (str(dead_letter_id), outcome, reason))))
            are_all_done &= outcome == Outcome.DONE
        return are_all_done
    finally:
        await producer.close()
        await connection.aclose()


async def _drop(settings: Settings, database: Database, ids: Sequence[int]) -> bool:
    are_all_dropped = True
    for dead_letter_id in ids:
        is_dropped = await redelivery.drop(database, dead_letter_id)
        typer.echo(f"{dead_letter_id}\t{'dropped' if is_dropped else 'locked by another process, or already gone'}")
        are_all_dropped &= is_dropped
    return are_all_dropped


async def _find(database: Database, selected: Selection, limit: int | None) -> list[DeadLetter]:
    async with database.transaction() as session:
        return list(await session.scalars(selected.select().limit(limit)))


def print_dead_letters(found: Sequence[DeadLetter], *, is_cut: bool = False, console: Console | None = None) -> None:
    """Print a row for each, and on a terminal their number. `is_cut`: there are more than these."""
    console = console or open_console()
    if found or not console.is_terminal:
        print_rows(COLUMNS, [*map(_row, found)], right_aligned=("id", "attempts"), console=console)
    if console.is_terminal:
        more = "; there are more, see --limit" if is_cut else ""
        console.print(Text(f"{_count(len(found))}{more}.") if found else Text("No dead letters.", "green"))


def _count(number: int) -> str:
    return f"{number} dead letter{'' if number == 1 else 's'}"


def _row(dead_letter: DeadLetter) -> tuple[str, ...]:
    return (
        str(dead_letter.id),
        format_time(dead_letter.created_at),
        dead_letter.consumer,
        dead_letter.topic,
        str(dead_letter.attempts),
        first_line(dead_letter.error).replace("\t", " ")[:ERROR_CHARACTERS],
    )


def as_json(dead_letter: DeadLetter) -> str:
    """All that is stored: the message with its headers, and the whole error."""
    names = ("id", "consumer", "topic", "key", "message_id", "organization_id", "origin", "attempts")
    fields = {name: getattr(dead_letter, name) for name in names}
    times = {name: format_time(getattr(dead_letter, name)) for name in ("created_at", "failed_at")}
    content = {**fields, **times, "message": dead_letter.message, "error": dead_letter.error.splitlines()}
    return orjson.dumps(content, option=orjson.OPT_INDENT_2).decode()
