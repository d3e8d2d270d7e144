"""The command line: `ticketing up` for one machine; `serve`, `worker`, `migrate` and `seed` for a deployment."""

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ticketing.cli import accounts, dead_letters, outbox, rehearse
from ticketing.cli.context import WRONG_USE, errors_in_one_sentence, fail, owners_url
from ticketing.infra.config import ConfigurationError, Settings, get_settings
from ticketing.infra.system.ports import listen
from ticketing.up.child import follow_supervisor

if TYPE_CHECKING:
    from ticketing.invariants import Verdict

app = typer.Typer(
    help="A multi-tenant event-ticketing platform.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

WORKERS = ("relay", "consumers", "scheduler", "webhooks")

app.add_typer(accounts.support, name="support")
app.add_typer(accounts.people, name="people")
app.add_typer(outbox.outbox, name="outbox")
app.add_typer(dead_letters.dead_letters, name="dlq")
app.command()(rehearse.rehearse)

Port = Annotated[int | None, typer.Option(help="Port to listen on; PORT, else 8000.", min=1, max=65535)]


@app.command()
def up(
    data_dir: Annotated[Path | None, typer.Option(help="Where everything is kept; DATA_DIR, else .data.")] = None,
    port: Port = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 opens it to the network.")] = "127.0.0.1",
    workers: Annotated[int, typer.Option(help="API processes; one per CPU, at most 4.", min=0, max=64)] = 0,
    demo: Annotated[bool, typer.Option("--demo/--no-demo", help="Build the demo on the first start.")] = True,
    verbose: Annotated[bool, typer.Option(help="Logs to the terminal instead of DATA_DIR/logs.")] = False,
    with_parent: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Open the whole platform on this machine: databases, API, workers and a demo. Ctrl-C closes it.

    PostgreSQL and Valkey are started from their wheels unless DATABASE_URL and REDIS_URL name others. What the
    processes write goes to DATA_DIR/logs, what you need to know to the terminal.
    """
    from ticketing.up import platform as one_machine

    _set(PORT=port, DATA_DIR=data_dir)
    processes = workers or max(1, min(4, os.cpu_count() or 1))
    choices = one_machine.Choices(host, processes, demo, verbose, with_parent)
    with errors_in_one_sentence():
        one_machine.Platform(get_settings(), choices).run()


@app.command()
def serve(
    port: Port = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 in a container.")] = "127.0.0.1",
    fd: Annotated[int | None, typer.Option(help="A socket that already listens, by its descriptor.")] = None,
) -> None:
    """Answer HTTP requests, in one process. SIGTERM lets running requests finish."""
    from ticketing.infra.db.roles import check_requests
    from ticketing.infra.http import server as http_server

    _set(PORT=port)
    with errors_in_one_sentence():
        settings = get_settings()
        _begin("api")
        if settings.environment == "production":
            check_requests(settings.database_url)
        listener = socket.socket(fileno=fd) if fd is not None else listen(host, settings.port)
        if not http_server.run("ticketing.main:create_app", listener):
            raise typer.Exit(1)


@app.command()
def worker(
    only: Annotated[str, typer.Option(help="Which of them, separated by commas.")] = ",".join(WORKERS),
) -> None:
    """Run the relay, the consumers, the scheduler and the webhooks. SIGTERM lets them finish what they have begun."""
    from ticketing.infra.db.roles import check_workers

    names = {name.strip() for name in only.split(",") if name.strip()}
    if not names or names - set(WORKERS):
        fail(f"--only: one or more of {', '.join(WORKERS)}, separated by commas.", WRONG_USE)
    with errors_in_one_sentence():
        _begin("-".join(sorted(names)))
        check_workers(get_settings().worker_database_url or get_settings().database_url)
        _run_workers(names)


@app.command()
def migrate() -> None:
    """Bring the database's schema up to date; does nothing when it is."""
    from ticketing.infra.db import migrate as migrations
    from ticketing.infra.db import roles, schema

    with errors_in_one_sentence():
        settings = get_settings()
        url = settings.migration_database_url or settings.database_url
        if not url:
            raise ConfigurationError("DATABASE_URL: must name the database to bring up to date")
        migrations.upgrade(url)
        roles.admit(url, settings.database_url or url, schema.REQUESTS)
        roles.admit(url, settings.worker_database_url or url, schema.WORKERS)


@app.command()
def seed(
    base_url: Annotated[str | None, typer.Option(help="Where the API answers; PUBLIC_URL, else this machine.")] = None,
) -> None:
    """Build the demo through the public API, once, and print its log-ins."""
    import httpx2

    from ticketing.demo.seed import seed as build_demo

    with errors_in_one_sentence():
        address = base_url or get_settings().base_url
        try:
            log_ins = build_demo(address)
        except (RuntimeError, httpx2.HTTPError) as error:
            fail(f"the demo could not be built at {address}: {error}", 1)
        typer.echo("Demo log-ins")
        for log_in in log_ins:
            typer.echo(f"  {log_in.email:<32}{log_in.password:<18}{log_in.role}")


@app.command()
def check() -> None:
    """Look whether the data contradicts itself; exit status 1 when it does."""
    from ticketing.cli import tables

    with errors_in_one_sentence():
        settings = get_settings()
        verdicts = asyncio.run(_check(settings, owners_url(settings)))
    if not tables.show(verdicts):
        raise typer.Exit(1)


async def _check(settings: Settings, url: str) -> "list[Verdict]":
    from ticketing import invariants
    from ticketing.infra.db import Database
    from ticketing.infra.db.timeouts import LONG_STATEMENT_SECONDS

    database = Database(settings, url=url, statement_seconds=LONG_STATEMENT_SECONDS)
    try:
        async with database.transaction() as session:
            return await invariants.check(session)
    finally:
        await database.close()


def _run_workers(names: set[str]) -> None:
    import uvloop

    from ticketing.infra.system import garbage_collection

    garbage_collection.pause()
    from ticketing import workers
    from ticketing.infra import crash_points, kafka

    crash_points.check_armed()
    garbage_collection.rest()
    kafka.shorten_switch_interval()

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await workers.run(names, stop)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def _begin(process: str) -> None:
    """What every long-running process does first."""
    from ticketing.infra import crash_points, log

    settings = get_settings()
    log.configure(settings.log_format, settings.log_level, process)
    crash_points.arm(settings.crash_at)
    follow_supervisor()


def _set(**values: object) -> None:
    """What the command line says goes before the environment, for us and for those that we start."""
    os.environ.update({name: str(value) for name, value in values.items() if value is not None})
