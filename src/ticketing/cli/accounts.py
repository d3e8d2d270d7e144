"""The commands about people: who supports the platform, and whose log-ins end."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from ticketing.cli.context import errors_in_one_sentence, fail, owners_url
from ticketing.infra.config import get_settings

if TYPE_CHECKING:
    from ticketing.cli.account_actions import Act

support = typer.Typer(help="The platform's support: people who read every organization.", no_args_is_help=True)
people = typer.Typer(help="What an operator can do about people.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(help="The e-mail address of the account.")]


@support.command("grant")
def grant_support(email: Email) -> None:
    """Let somebody who has an account read every organization; each of them sees it in its audit log."""
    from ticketing.cli import account_actions as acts

    _act_on(email, acts.grant_support)


@support.command("revoke")
def revoke_support(email: Email) -> None:
    """Take it back, at once."""
    from ticketing.cli import account_actions as acts

    _act_on(email, acts.revoke_support)


@people.command("log-out")
def log_out(email: Email) -> None:
    """End all log-ins of a person; within two seconds no process takes their tokens."""
    from ticketing.cli import account_actions as acts

    _act_on(email, acts.log_out)


def _act_on(email: str, act: "Act") -> None:
    from ticketing.cli.account_actions import act_on

    with errors_in_one_sentence():
        settings = get_settings()
        said = asyncio.run(act_on(settings, owners_url(settings), email, act))
    if said is None:
        fail(f"nobody has an account with the address {email}", 1)
    typer.echo(said)
