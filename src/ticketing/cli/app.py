"""The commands: `ticketing up` for one machine; `serve`, `worker`, `migrate` and `seed` for a deployment."""

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import Annotated

import typer

from ticketing.cli import accounts, dead_letters, outbox, rehearse
from ticketing.cli.context import WRONG_USE, errors_in_one_sentence, fail
from ticketing.infra.config import ConfigurationError, get_settings
from ticketing.infra.system import garbage_collection
from ticketing.infra.system.ports import listen
from ticketing.up.child import follow_supervisor

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
    data_dir: Annotated[Path | None, typer.Option(help="Folder for all data; DATA_DIR, else .data.")] = None,
    port: Port = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 opens it to the network.")] = "127.0.0.1",
    workers: Annotated[int, typer.Option(help="API processes; one per CPU, at most 4.", min=0, max=64)] = 0,
    demo: Annotated[bool, typer.Option("--demo/--no-demo", help="Create the demo on the first start.")] = True,
    verbose: Annotated[bool, typer.Option(help="Log to the terminal instead of DATA_DIR/logs.")] = False,
    with_parent: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Run the whole platform on this machine: databases, API, workers and a demo. Ctrl-C stops it.

    PostgreSQL and Valkey are started from their Python packages unless DATABASE_URL and REDIS_URL are set. The
    processes log to DATA_DIR/logs; start-up steps and warnings are printed on the terminal.
    """
    from ticketing.up.platform import Options, Platform

    _set_environment(PORT=port, DATA_DIR=data_dir)
    processes = workers or max(1, min(4, os.cpu_count() or 1))
    with errors_in_one_sentence():
        Platform(get_settings(), Options(host, processes, demo, verbose, with_parent)).run()


@app.command()
def serve(
    port: Port = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 in a container.")] = "127.0.0.1",
    fd: Annotated[int | None, typer.Option(help="File descriptor of a socket that is already listening.")] = None,
) -> None:
    """Serve HTTP requests in one process. On SIGTERM, it finishes the requests in progress and exits."""
    from ticketing.infra.db import log_cluster
    from ticketing.infra.db.roles import check_requests
    from ticketing.infra.db.server_requirements import check_server
    from ticketing.infra.http import server as http_server

    _set_environment(PORT=port)
    with errors_in_one_sentence():
        settings = get_settings()
        _start_process("api")
        check_server("DATABASE_URL", settings.database_url, settings.database_prepare_threshold)
        if settings.environment == "production":
            check_requests(settings.database_url)
        listener = socket.socket(fileno=fd) if fd is not None else listen(host, settings.port)
        log_cluster.check(settings.database_url)
        if not http_server.run("ticketing.main:create_app", listener):
            raise typer.Exit(1)


@app.command()
def worker(
    only: Annotated[str, typer.Option(help="Workers to run, separated by commas.")] = ",".join(WORKERS),
) -> None:
    """Run the relay, the consumers, the scheduler and webhook delivery. On SIGTERM, they finish their work and exit."""
    from ticketing.infra.db import log_cluster
    from ticketing.infra.db.roles import check_workers

    names = {name.strip() for name in only.split(",") if name.strip()}
    if not names or names - set(WORKERS):
        fail(f"--only: one or more of {', '.join(WORKERS)}, separated by commas.", WRONG_USE)
    with errors_in_one_sentence():
        _start_process("-".join(sorted(names)))
        url = get_settings().worker_database_url or get_settings().database_url
        check_workers(url)
        log_cluster.check(url)
        _run_workers(names)


@app.command()
def migrate() -> None:
    """Upgrade the database schema to this release; do nothing if it is current."""
    from ticketing.infra.db import migrate as migrations
    from ticketing.infra.db import roles, schema
    from ticketing.infra.db.server_requirements import check_server

    with errors_in_one_sentence():
        settings = get_settings()
        url = settings.migration_database_url or settings.database_url
        if not url:
            raise ConfigurationError("DATABASE_URL: must name the database to upgrade")
        name = "MIGRATION_DATABASE_URL" if settings.migration_database_url else "DATABASE_URL"
        check_server(name, url, settings.database_prepare_threshold)
        migrations.upgrade(url)
        roles.admit(url, settings.database_url or url, schema.REQUESTS)
        roles.admit(url, settings.worker_database_url or url, schema.WORKERS)


@app.command()
def seed(
    base_url: Annotated[str | None, typer.Option(help="URL of the API; PUBLIC_URL, else this machine.")] = None,
) -> None:
    """Create the demo through the public API unless it exists, and print its accounts."""
    from ticketing.cli.actions.seed import print_accounts

    with errors_in_one_sentence():
        print_accounts(base_url or get_settings().base_url)


@app.command()
def check() -> None:
    """Check the data for contradictions; exit status 1 if there are any."""
    from ticketing.cli.actions.check import check_data

    with errors_in_one_sentence():
        is_consistent = check_data(get_settings())
    if not is_consistent:
        raise typer.Exit(1)


def _run_workers(names: set[str]) -> None:
    import uvloop

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


def _start_process(name: str) -> None:
    """Set up logging, crash points and the supervisor's lifeline: the first steps of every long-running process."""
    from ticketing.infra import crash_points, log

    settings = get_settings()
    log.configure(settings.log_format, settings.log_level, name)
    crash_points.arm(settings.crash_at)
    follow_supervisor()


def _set_environment(**values: object) -> None:
    """Let options override environment variables, also those of child processes."""
    os.environ.update({name: str(value) for name, value in values.items() if value is not None})
