"""`ticketing rehearse`: declares the options of a rehearsal."""

from pathlib import Path
from typing import Annotated

import typer

from ticketing.cli.context import errors_in_one_sentence

Share = Annotated[float, typer.Option(help="Share of all buyers.")]


def rehearse(
    context: typer.Context,
    event: Annotated[str, typer.Option(help="ID of the event to copy. The event itself is not changed.")] = "",
    buyers: Annotated[int, typer.Option(help="Number of virtual buyers.")] = 1000,
    url: Annotated[str | None, typer.Option(help="URL of the API; PUBLIC_URL, else this machine.")] = None,
    clean: Annotated[bool, typer.Option("--clean", help="Only remove what killed rehearsals have left.")] = False,
    on_production: Annotated[bool, typer.Option("--on-production", help="Allow it in production.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write the report to this file, as HTML.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write all figures to this file, as JSON.")] = None,
    ramp_seconds: Annotated[float, typer.Option(help="Buyers arrive during this time, at an increasing rate.")] = 10,
    herd_seconds: Annotated[float, typer.Option(help="Then all of them click within this time.")] = 3,
    think_seconds: Annotated[float, typer.Option(help="The longest time that a buyer takes for a form.")] = 4,
    limit_seconds: Annotated[float, typer.Option(help="Buyers still active after this time are stopped.")] = 300,
    hold_seconds: Annotated[int, typer.Option(help="Duration of holds, instead of the event's own.")] = 30,
    tries: Annotated[int, typer.Option(help="How often a buyer tries to hold seats.")] = 8,
    abandon_share: Share = 0.1,
    cancel_share: Share = 0.05,
    replay_share: Annotated[float, typer.Option(help="Share of holds sent twice with the same key.")] = 0.05,
    payments: Annotated[bool, typer.Option(help="Pay with the mock provider, where it is enabled.")] = True,
    seed: Annotated[int, typer.Option(help="Seed of the buyers' random choices.")] = 1,
    connections: Annotated[int, typer.Option(help="Connections to the platform, over all processes.")] = 1000,
    processes: Annotated[int, typer.Option(help="Processes that the virtual buyers are spread over.")] = 2,
    max_503_share: Annotated[float, typer.Option(help="No-go above this share of all responses.")] = 0.05,
    max_429_share: Annotated[float, typer.Option(help="No-go above this share of all responses.")] = 0.02,
    max_p99_seconds: Annotated[float, typer.Option(help="No-go if the p99 of holds is higher.")] = 2,
    max_lag_seconds: Annotated[float, typer.Option(help="No-go if the log's readers need longer to catch up.")] = 30,
) -> None:
    """Rehearse an on-sale on a copy of an event; exit status 0 means go, 1 no-go, 2 wrong use.

    The copy and the buyers' accounts are created in a scratch organization of the running platform, and removed at the
    end, also after Ctrl-C. The buyers' access tokens are signed with the platform's JWT_SECRET instead of logging in:
    hashing ten thousand passwords would take an hour. Seats that are sold or blocked are not for sale in the copy.
    """
    from ticketing.cli.actions import rehearsal

    with errors_in_one_sentence():
        is_go = rehearsal.run(context.params)
    if not is_go:
        raise typer.Exit(1)
