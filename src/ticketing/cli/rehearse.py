"""`ticketing rehearse`: the on-sale, the day before."""

import asyncio
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar
from uuid import UUID

import typer

from ticketing.cli.context import errors_in_one_sentence, fail, owners_url, platforms_settings
from ticketing.infra.config import ConfigurationError, Settings

if TYPE_CHECKING:
    from ticketing.rehearsal import Rehearsal

T = TypeVar("T")
Share = Annotated[float, typer.Option(help="Of all buyers.")]


def rehearse(
    event: Annotated[str, typer.Option(help="The id of the event to copy; it is not touched itself.")] = "",
    buyers: Annotated[int, typer.Option(help="How many people want tickets.")] = 1000,
    url: Annotated[str | None, typer.Option(help="Where the API answers; PUBLIC_URL, else this machine.")] = None,
    clean: Annotated[bool, typer.Option("--clean", help="Only remove what killed rehearsals have left.")] = False,
    on_production: Annotated[bool, typer.Option("--on-production", help="Yes, in production, and now.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write the go/no-go page to this file, as HTML.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write all numbers to this file.")] = None,
    ramp_seconds: Annotated[float, typer.Option(help="People arrive and look, ever more of them.")] = 10,
    herd_seconds: Annotated[float, typer.Option(help="Then all of them click within this time.")] = 3,
    think_seconds: Annotated[float, typer.Option(help="The longest that somebody takes for a form.")] = 4,
    limit_seconds: Annotated[float, typer.Option(help="Whoever is still at it then is sent home.")] = 300,
    hold_seconds: Annotated[int, typer.Option(help="How long seats are held, instead of the event's own time.")] = 30,
    tries: Annotated[int, typer.Option(help="How often a buyer asks for seats before giving up.")] = 8,
    abandon_share: Share = 0.1,
    cancel_share: Share = 0.05,
    replay_share: Annotated[float, typer.Option(help="Of all holds: sent twice with the same key.")] = 0.05,
    payments: Annotated[bool, typer.Option(help="Pay with the mock provider, where it is on.")] = True,
    seed: Annotated[int, typer.Option(help="The same number makes the same buyers.")] = 1,
    connections: Annotated[int, typer.Option(help="Open to the platform at one time.")] = 1000,
    processes: Annotated[int, typer.Option(help="That the crowd is spread over.")] = 2,
    max_503_share: Annotated[float, typer.Option(help="No-go above it, of all answers.")] = 0.05,
    max_429_share: Annotated[float, typer.Option(help="No-go above it, of all answers.")] = 0.02,
    max_p99_seconds: Annotated[float, typer.Option(help="No-go when the slowest hundredth of holds takes longer.")] = 2,
    max_lag_seconds: Annotated[float, typer.Option(help="For the log's readers to catch up after the sale.")] = 30,
) -> None:
    """Rehearse an on-sale on a copy of an event; exit status 0 is a go, 1 a no-go, 2 a wrong use.

    The copy lives in a scratch organization of the running platform, and so do the buyers; both are removed in the end,
    also after Ctrl-C. Access tokens of the buyers are made here with the platform's JWT_SECRET instead of logging in:
    ten thousand passwords would take an hour. What is sold or blocked already is not for sale in the copy.
    """
    from ticketing.rehearsal import Choices, Display, Rehearsal

    with errors_in_one_sentence():
        settings = platforms_settings()
        if clean:
            raise typer.Exit(_clean(settings, bool(event)))
        _check_place(settings, on_production)
        has_mock = bool(settings.mock_webhook_secret.get_secret_value())
        choices = Choices(
            event_id=_id(event),
            buyers=buyers,
            seed=seed,
            ramp_seconds=ramp_seconds,
            herd_seconds=herd_seconds,
            think_seconds=think_seconds,
            limit_seconds=limit_seconds,
            hold_seconds=hold_seconds,
            abandon_share=abandon_share,
            cancel_share=cancel_share,
            replay_share=replay_share,
            tries=tries,
            payments=payments and has_mock,
            connections=connections,
            processes=processes,
            max_503_share=max_503_share,
            max_429_share=max_429_share,
            max_p99_seconds=max_p99_seconds,
            max_lag_seconds=max_lag_seconds,
            html=report,
            json=json,
        )
        base_url = _base_url(settings, url)
        rehearsal = Rehearsal(settings, _database_url(settings), base_url, choices, Display())
        if not _finish(_run(rehearsal)):
            raise typer.Exit(1)


def _finish(work: Coroutine[None, None, T]) -> T:
    from ticketing.rehearsal import RehearsalError

    try:
        return asyncio.run(work)
    except RehearsalError as error:
        fail(str(error), 1)


async def _run(rehearsal: "Rehearsal") -> bool:
    """Ctrl-C and SIGTERM end the rehearsal once; what follows is the clean-up, and it has its time."""
    from ticketing.rehearsal import RehearsalError

    running = asyncio.create_task(rehearsal.run())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, _stop_once, running, rehearsal)
    try:
        return await running
    except asyncio.CancelledError:
        raise RehearsalError("the rehearsal was stopped, and what it had built is removed") from None


def _stop_once(running: "asyncio.Task[bool]", rehearsal: "Rehearsal") -> None:
    if running.cancelling():
        rehearsal.display.say("  Still removing; what is left by a kill, `ticketing rehearse --clean` removes.")
    else:
        rehearsal.display.say("  Stopping; what was built is removed first.")
        running.cancel()


def _clean(settings: Settings, has_event: bool) -> int:
    from ticketing.rehearsal import Display
    from ticketing.rehearsal import clean as remove

    if has_event:
        raise ConfigurationError("--clean: comes without --event; it removes what is left of all rehearsals")
    display = Display()
    count = _finish(remove(settings, _database_url(settings), display))
    display.say(f"{count} rehearsal{'' if count == 1 else 's'} removed." if count else "There was nothing to remove.")
    return 0


def _check_place(settings: Settings, on_production: bool) -> None:
    if not settings.jwt_secrets:
        raise ConfigurationError("JWT_SECRET: must be that of the platform, which has to take the buyers' tokens")
    if settings.environment == "production" and not on_production:
        raise ConfigurationError("--on-production: say so if real buyers may feel this rehearsal")


def _database_url(settings: Settings) -> str:
    from ticketing.infra.db.roles import check_workers

    url = owners_url(settings)
    check_workers(url)
    return url


def _base_url(settings: Settings, url: str | None) -> str:
    base_url = (url or settings.base_url).rstrip("/")
    if not base_url.startswith(("http://", "https://")):
        raise ConfigurationError("--url: must start with http:// or https://")
    return base_url


def _id(event: str) -> UUID:
    try:
        return UUID(event)
    except ValueError:
        raise ConfigurationError("--event: must be the id of an event") from None
