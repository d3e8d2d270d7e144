"""`ticketing seed`: creates the demo, and prints its accounts."""

import httpx2
import typer

from ticketing.cli.context import fail
from ticketing.demo.seed import seed


def print_accounts(base_url: str) -> None:
    """Create the demo unless it exists, and print a line per account; end with status 1 if the API is unavailable."""
    try:
        accounts = seed(base_url)
    except (RuntimeError, httpx2.HTTPError) as error:
        fail(f"the demo could not be created at {base_url}: {error}", 1)
    typer.echo("Demo accounts")
    for account in accounts:
        typer.echo(f"  {account.email:<32}{account.password:<18}{account.role}")
