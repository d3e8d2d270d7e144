"""`ticketing support` and `ticketing people`: commands about accounts."""

from typing import Annotated

import typer

from ticketing.cli.context import errors_in_one_sentence

support = typer.Typer(help="Support staff of the platform, who can read every organization.", no_args_is_help=True)
people = typer.Typer(help="Operator actions on accounts.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(help="The email address of the account.")]


@support.command("grant")
def grant_support(email: Email) -> None:
    """Let an existing account read every organization; each organization sees it in its audit log."""
    from ticketing.cli.actions import accounts as actions

    with errors_in_one_sentence():
        actions.run(email, actions.grant_support)


@support.command("revoke")
def revoke_support(email: Email) -> None:
    """Withdraw that right, with immediate effect."""
    from ticketing.cli.actions import accounts as actions

    with errors_in_one_sentence():
        actions.run(email, actions.revoke_support)


@people.command("log-out")
def log_out(email: Email) -> None:
    """End all sessions of an account; within two seconds, every process rejects its access tokens."""
    from ticketing.cli.actions import accounts as actions

    with errors_in_one_sentence():
        actions.run(email, actions.log_out)
