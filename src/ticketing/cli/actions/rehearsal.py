"""Runs `ticketing rehearse` with its options, and handles signals."""

import asyncio
import signal
from collections.abc import Coroutine, Mapping
from dataclasses import fields
from typing import Any, TypeVar
from uuid import UUID

from ticketing import rehearsal
from ticketing.cli.context import fail, operator_database_url, platform_settings
from ticketing.infra.config import ConfigurationError, Settings
from ticketing.infra.db.roles import check_workers
from ticketing.rehearsal import ProgressDisplay, Rehearsal, RehearsalError, RehearsalOptions

T = TypeVar("T")


def run(parameters: Mapping[str, Any]) -> bool:
    """Run a rehearsal, or only the cleanup if `clean` is set. Returns True for a go.

    `parameters` are those of the command, by name.

    Raises:
        ConfigurationError: an option or a setting is wrong.
    """
    settings = platform_settings()
    if parameters["clean"]:
        return _clean(settings, has_event=bool(parameters["event"]))
    _check_permission(settings, parameters["on_production"])
    options = options_from(settings, parameters)
    url = _base_url(settings, parameters["url"])
    return _run(_stop_on_signal(Rehearsal(settings, _database_url(settings), url, options, ProgressDisplay())))


def options_from(settings: Settings, parameters: Mapping[str, Any]) -> RehearsalOptions:
    """The command's options, most of which have the same names. Buyers pay only if the mock provider is enabled."""
    same = {field.name: parameters[field.name] for field in fields(RehearsalOptions) if field.name in parameters}
    has_mock_provider = bool(settings.mock_webhook_secret.get_secret_value())
    same["payments"] = parameters["payments"] and has_mock_provider
    return RehearsalOptions(event_id=_event_id(parameters["event"]), html=parameters["report"], **same)


def _run(work: Coroutine[None, None, T]) -> T:
    try:
        return asyncio.run(work)
    except RehearsalError as error:
        fail(str(error), 1)


async def _stop_on_signal(running: Rehearsal) -> bool:
    """Run the rehearsal. The first Ctrl-C or SIGTERM cancels it, which starts the cleanup; later ones are ignored."""
    task = asyncio.create_task(running.run())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, _stop, task, running.progress)
    try:
        return await task
    except asyncio.CancelledError:
        raise RehearsalError("the rehearsal was stopped, and what it had created is removed") from None


def _stop(task: "asyncio.Task[bool]", progress: ProgressDisplay) -> None:
    if task.cancelling():
        progress.say("  The cleanup is still running. If it is killed, `ticketing rehearse --clean` completes it.")
    else:
        progress.say("  Stopping: the cleanup runs first.")
        task.cancel()


def _clean(settings: Settings, *, has_event: bool) -> bool:
    if has_event:
        raise ConfigurationError("--clean: comes without --event; it removes what all rehearsals have left")
    progress = ProgressDisplay()
    count = _run(rehearsal.clean(settings, _database_url(settings), progress))
    progress.say(f"{count} rehearsal{'' if count == 1 else 's'} removed." if count else "There was nothing to remove.")
    return True


def _check_permission(settings: Settings, on_production: bool) -> None:
    if not settings.jwt_secrets:
        raise ConfigurationError("JWT_SECRET: must be the platform's, which has to accept the buyers' tokens")
    if settings.environment == "production" and not on_production:
        raise ConfigurationError("--on-production: required in production, because real buyers may notice")


def _database_url(settings: Settings) -> str:
    url = operator_database_url(settings)
    check_workers(url)
    return url


def _base_url(settings: Settings, url: str | None) -> str:
    base_url = (url or settings.base_url).rstrip("/")
    if not base_url.startswith(("http://", "https://")):
        raise ConfigurationError("--url: must start with http:// or https://")
    return base_url


def _event_id(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise ConfigurationError("--event: must be the ID of an event") from None
