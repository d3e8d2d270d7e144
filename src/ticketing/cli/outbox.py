"""`ticketing outbox`: shows the log and its readers, replays a part of it, and deregisters readers."""

from typing import Annotated

import typer

from ticketing.cli.context import errors_in_one_sentence, fail
from ticketing.cli.options import SINCE_HELP, Yes

outbox = typer.Typer(help="The outbox log and its readers.", no_args_is_help=True)


@outbox.command("status")
def show_status() -> None:
    """Show the log by partition, each reader with its cursor and lease, and transactions that hold up all readers.

    A reader in brackets belongs to the transport that is not in use: no messages are retained for it.
    """
    from ticketing.cli.actions import outbox_status

    with errors_in_one_sentence():
        outbox_status.show()


@outbox.command("lag")
def show_lag(
    max_seconds: Annotated[float | None, typer.Option(help="Exit status 1 if any lag is longer.", min=0)] = None,
) -> None:
    """Show a line for each reader: name, age of its oldest unread row in seconds, number of unread rows.

    With Kafka, also a line for each consumer group and topic: time since its offset last moved, number of messages.
    """
    from ticketing.cli.actions import outbox_lag

    with errors_in_one_sentence():
        lags, error = outbox_lag.measure()
    for name, seconds, rows in lags:
        typer.echo(f"{name}\t{seconds:.1f}\t{rows}")
    if error or not lags:
        fail(error or "the log has never been read", 1)
    if max_seconds is not None and max(seconds for _, seconds, _ in lags) > max_seconds:
        raise typer.Exit(1)


@outbox.command("replay")
def replay(
    since: Annotated[str, typer.Option(help=SINCE_HELP)],
    topic: Annotated[list[str], typer.Option(help="The topic to replay; can be repeated.")],
    group: Annotated[str | None, typer.Option(help="Deliver to this consumer group only, in this process.")] = None,
    yes: Yes = False,
) -> None:
    """Replay a part of the log, in its order, each message under its original ID.

    With Kafka, the messages are published again, for a rebuilt broker or a new consumer. Without Kafka, or with
    --group, they are delivered to the consumer groups that have not processed them. Nothing is processed twice: the
    inbox of each consumer identifies what it has processed.
    """
    from ticketing.cli.actions import outbox_replay

    with errors_in_one_sentence():
        outbox_replay.run(since, topic, group, yes)


@outbox.command("forget")
def forget(reader: Annotated[str, typer.Argument(help="The name that `status` shows.")], yes: Yes = False) -> None:
    """Deregister a reader that is gone for good, so that nothing is retained for it.

    If it returns, it starts at the oldest row in the log.
    """
    from ticketing.cli.actions import outbox_status

    with errors_in_one_sentence():
        outbox_status.forget(reader, yes)
