"""`ticketing dlq`: what consumers gave up, to look at, to bring again, and to let go of."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
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
from ticketing.cli.options import Since, read_since
from ticketing.infra.config import Settings

if TYPE_CHECKING:
    from ticketing.infra.bus.dead_letters import DeadLetter
    from ticketing.infra.bus.redelivery import Selection
    from ticketing.infra.db import Database

dead_letters = typer.Typer(help="Dead letters: messages that a consumer gave up.", no_args_is_help=True)

Topic = Annotated[str | None, typer.Option(help="Only those of this topic, such as order.paid.")]
Consumer = Annotated[str | None, typer.Option(help="Only those that this consumer gave up, such as tickets.")]
ID_MAX = 2**63 - 1
Id = Annotated[int, typer.Argument(metavar="ID", help="Its number, as `list` shows it.", min=1, max=ID_MAX)]
Ids = Annotated[list[int] | None, typer.Argument(help="Their numbers, as `list` shows them.", min=1, max=ID_MAX)]
Everything = Annotated[bool, typer.Option("--all", help="All that there are.")]


@dead_letters.command("list")
def list_letters(
    topic: Topic = None,
    consumer: Consumer = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(help="So many at most.", min=1, max=100_000)] = 100,
) -> None:
    """Show them, the first that was given up first: number, time, consumer, topic, attempts, error."""
    from ticketing.cli import dead_letter_list

    wanted = _wanted(None, topic, consumer, since)
    letters = _look(lambda database: _find(database, wanted, limit + 1))
    dead_letter_list.show(letters[:limit], is_cut=len(letters) > limit)


@dead_letters.command("show")
def show_letter(letter_id: Id) -> None:
    """Show one with its message, its headers and the whole error, as JSON."""
    from ticketing.cli import dead_letter_list

    wanted = _wanted([letter_id], None, None, None)
    letters = _look(lambda database: _find(database, wanted, 1))
    if not letters:
        fail(f"there is no dead letter {letter_id}", 1)
    typer.echo(dead_letter_list.as_json(letters[0]))


@dead_letters.command("replay")
def replay(
    ids: Ids = None, topic: Topic = None, consumer: Consumer = None, everything: Everything = False, yes: Yes = False
) -> None:
    """Bring them to their consumer again, here and now, one after the other; exit status 1 when one of them fails.

    Effect and letter change places in one transaction: replaying twice, or crashing, does no harm.
    """
    _act(_chosen(ids, topic, consumer, everything), "replayed", yes, _redeliver)


@dead_letters.command("drop")
def drop(
    ids: Ids = None, topic: Topic = None, consumer: Consumer = None, everything: Everything = False, yes: Yes = False
) -> None:
    """Let go of them for good: what they stand for will never be done. The log says which they were."""
    _act(_chosen(ids, topic, consumer, everything), "dropped", yes, _drop)


Act = Callable[[Settings, "Database", Sequence[int]], Awaitable[bool]]


def _act(wanted: "Selection", done: str, yes: bool, act: Act) -> None:
    """Tell what would be done, or do it to all that are there now; exit status 1 when not all went well."""
    from ticketing.cli import dead_letter_list

    async def run(database: "Database") -> bool:
        letters = await _find(database, wanted, None)
        missing = sorted(set(wanted.ids) - {letter.id for letter in letters})
        for letter_id in missing:
            typer.echo(f"{letter_id}\tgone\tthere is no such letter")
        if yes:
            return await act(settings, database, [letter.id for letter in letters]) and not missing
        dead_letter_list.show(letters)
        count = f"{len(letters)} dead letter{'' if len(letters) == 1 else 's'}"
        typer.echo(f"{count} would be {done}; nothing was changed. With --yes it is done.", err=True)
        return not missing

    with errors_in_one_sentence():
        settings = platforms_settings()
        log_to_stderr(settings)
        is_well = asyncio.run(with_database(settings, run))
    if not is_well:
        raise typer.Exit(1)


async def _redeliver(settings: Settings, database: "Database", ids: Sequence[int]) -> bool:
    from ticketing.infra import mail, redis
    from ticketing.infra.bus import redelivery
    from ticketing.infra.kafka.producer import KafkaProducer
    from ticketing.workers.consumers import groups
    from ticketing.workers.relay_redelivery import Republish

    connection = redis.connect(settings)
    producer = KafkaProducer(settings.kafka_bootstrap_servers, "replay")
    try:
        relays = [Republish(producer)] if settings.is_distributed else []
        known = {group.name: group for group in (*groups(connection, mail.connect(settings)), *relays)}
        is_well = True
        for letter_id in ids:
            outcome, reason = await redelivery.redeliver(database, known, letter_id)
            typer.echo("\t".join(filter(None, (str(letter_id), outcome, reason))))
            is_well &= outcome == redelivery.Outcome.DONE
        return is_well
    finally:
        await producer.close()
        await connection.aclose()


async def _drop(settings: Settings, database: "Database", ids: Sequence[int]) -> bool:
    from ticketing.infra.bus import redelivery

    is_well = True
    for letter_id in ids:
        is_gone = await redelivery.drop(database, letter_id)
        typer.echo(f"{letter_id}\t{'dropped' if is_gone else 'somebody else is at it, or was'}")
        is_well &= is_gone
    return is_well


async def _find(database: "Database", wanted: "Selection", limit: int | None) -> "list[DeadLetter]":
    async with database.transaction() as session:
        return list(await session.scalars(wanted.select().limit(limit)))


def _look(find: "Callable[[Database], Awaitable[list[DeadLetter]]]") -> "list[DeadLetter]":
    with errors_in_one_sentence():
        return asyncio.run(with_database(platforms_settings(), find))


def _wanted(ids: list[int] | None, topic: str | None, consumer: str | None, since: str | None) -> "Selection":
    from ticketing.infra.bus.redelivery import Selection

    with errors_in_one_sentence():
        return Selection(ids or (), topic, consumer, read_since(since) if since else None)


def _chosen(ids: list[int] | None, topic: str | None, consumer: str | None, everything: bool) -> "Selection":
    """What replay and drop are about: they want to be told, for there is no way back."""
    if not (ids or topic or consumer or everything):
        fail("say which: numbers, --topic, --consumer, or --all", WRONG_USE)
    if everything and (ids or topic or consumer):
        fail("--all: comes without numbers, --topic and --consumer", WRONG_USE)
    return _wanted(ids, topic, consumer, None)
