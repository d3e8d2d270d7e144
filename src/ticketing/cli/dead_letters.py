"""`ticketing dlq`: lists, shows, replays and drops dead letters."""

from typing import Annotated

import typer

from ticketing.cli.context import WRONG_USE, errors_in_one_sentence, fail
from ticketing.cli.options import Since, Yes

dead_letters = typer.Typer(help="Dead letters: messages that a consumer could not process.", no_args_is_help=True)

Topic = Annotated[str | None, typer.Option(help="Only dead letters of this topic, such as order.paid.")]
Consumer = Annotated[str | None, typer.Option(help="Only dead letters of this consumer, such as tickets.")]
ID_MAX = 2**63 - 1
Id = Annotated[int, typer.Argument(metavar="ID", help="The ID that `list` shows.", min=1, max=ID_MAX)]
Ids = Annotated[list[int] | None, typer.Argument(help="The IDs that `list` shows.", min=1, max=ID_MAX)]
Everything = Annotated[bool, typer.Option("--all", help="All dead letters.")]


@dead_letters.command("list")
def list_dead_letters(
    topic: Topic = None,
    consumer: Consumer = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(help="The largest number of rows.", min=1, max=100_000)] = 100,
) -> None:
    """List dead letters, oldest first: ID, time, consumer, topic, attempts, error."""
    from ticketing.cli.actions import dead_letters as actions

    with errors_in_one_sentence():
        actions.print_list(actions.selection((), topic, consumer, since), limit)


@dead_letters.command("show")
def show_dead_letter(dead_letter_id: Id) -> None:
    """Show one dead letter as JSON: its message with the headers, and the whole error."""
    from ticketing.cli.actions import dead_letters as actions

    with errors_in_one_sentence():
        actions.print_one(dead_letter_id)


@dead_letters.command("replay")
def replay(
    ids: Ids = None, topic: Topic = None, consumer: Consumer = None, everything: Everything = False, yes: Yes = False
) -> None:
    """Process the messages again in this process, one by one; exit status 1 if any of them fails.

    The effect and the deletion of the dead letter commit in one transaction: replaying twice, or a crash, does no harm.
    """
    from ticketing.cli.actions import dead_letters as actions

    _check_selection(ids, topic, consumer, everything)
    with errors_in_one_sentence():
        selection = actions.selection(ids or (), topic, consumer)
        is_complete = actions.replay(selection, yes=yes)
    if not is_complete:
        raise typer.Exit(1)


@dead_letters.command("drop")
def drop(
    ids: Ids = None, topic: Topic = None, consumer: Consumer = None, everything: Everything = False, yes: Yes = False
) -> None:
    """Delete dead letters permanently: their effects will never happen. Each is recorded in the log."""
    from ticketing.cli.actions import dead_letters as actions

    _check_selection(ids, topic, consumer, everything)
    with errors_in_one_sentence():
        selection = actions.selection(ids or (), topic, consumer)
        is_complete = actions.drop(selection, yes=yes)
    if not is_complete:
        raise typer.Exit(1)


def _check_selection(ids: list[int] | None, topic: str | None, consumer: str | None, everything: bool) -> None:
    """Require an explicit selection, because replaying and dropping cannot be undone."""
    if not (ids or topic or consumer or everything):
        fail("choose dead letters by ID, --topic, --consumer, or --all", WRONG_USE)
    if everything and (ids or topic or consumer):
        fail("--all: comes without IDs, --topic and --consumer", WRONG_USE)
