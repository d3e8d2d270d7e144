"""`ticketing outbox`: shows the log and its lag, replays a part of it, and deregisters readers."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import func, text
from typer.testing import CliRunner

from tests.support import forking
from tests.support.drain import drain
from tests.support.world import World
from ticketing.cli.actions import outbox_replay
from ticketing.cli.actions.since import parse_since
from ticketing.cli.app import app as commands
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.outbox.reader import LogReader

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cli(settings: Settings, tmp_path: Path) -> Cli:
    variables = {"WORKER_DATABASE_URL": settings.worker_database_url, "REDIS_URL": settings.redis_url}

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **variables, **more}
        return forking.run("ticketing.cli", "outbox", *arguments, cwd=tmp_path, env=environment)

    return run


async def run(database: Database, statement: str) -> list[Any]:
    async with database.transaction() as session:
        found = await session.execute(text(statement))
        return list(found.scalars()) if found.returns_rows else []


@pytest.fixture
async def sold(app: FastAPI, world: World) -> None:
    """Two paid orders with their tickets."""
    show, buyer = await world.show(rows=1, seats=2), await world.person()
    await world.buy(buyer, show, "Stalls-A-1")
    await world.buy(buyer, show, "Stalls-A-2")
    await drain(app)


async def read_some(database: Database, reader: str, limit: int) -> LogReader:
    log = LogReader(database, reader, "another process", page_rows=limit)
    assert await log.acquire()
    await log.advance((await log.read())[-1].log_id)
    return log


@pytest.mark.usefixtures("sold")
async def test_status_shows_the_log_its_readers_and_the_transaction_that_holds_them_up(
    cli: Cli, database: Database
) -> None:
    await read_some(database, "slow", 1)
    (rows,) = await run(database, "select count(*) from outbox")
    async with database.transaction() as session:
        await session.execute(text("set local application_name = 'a long report'"))
        # The command may take seconds to start on a busy machine; this transaction must still be open then.
        for limit in ("transaction_timeout", "idle_in_transaction_session_timeout"):
            await session.execute(text(f"set local {limit} = 0"))
        await session.execute(text("select pg_current_xact_id()"))
        shown = cli("status")
    lines = [line.split("\t") for line in shown.stdout.splitlines()]
    assert shown.returncode == 0, shown.stderr
    assert sum(int(line[2]) for line in lines if line[0] == "partition") == rows
    readers = {line[1]: line[2:] for line in lines if line[0] == "reader"}
    assert {"orders", "tickets", "notifications", "slow"} <= readers.keys()
    assert (readers["tickets"][:2], readers["slow"][0]) == (["0", "-"], str(rows - 1))
    assert readers["slow"][3] == "another process"
    assert [line[1] for line in lines if line[0] == "pin"] == ["a long report"]


@pytest.mark.usefixtures("sold")
async def test_lag_above_the_limit_sets_the_exit_status(cli: Cli, database: Database, owner: Database) -> None:
    await (await read_some(database, "slow", 1)).release()
    await run(owner, "alter table outbox disable trigger user")
    await run(owner, "update outbox set occurred_at = occurred_at - interval '1 minute'")
    shown = cli("lag", "--max-seconds", "30")
    lags = {name: (float(seconds), int(rows)) for name, seconds, rows in map(str.split, shown.stdout.splitlines())}
    assert shown.returncode == 1
    assert lags["tickets"] == (0, 0)
    assert lags["slow"][0] > 60
    assert cli("lag", "--max-seconds", "600").returncode == 0
    await (await read_some(database, "relay", 1)).release()
    without_broker = cli("lag", KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert (without_broker.returncode, without_broker.stdout.split("\t")[0]) == (1, "relay")
    assert "the broker does not answer" in without_broker.stderr


@pytest.mark.usefixtures("sold")
async def test_unprocessed_messages_are_delivered_to_a_group_once(
    cli: Cli, database: Database, settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    """As after a restore: the cursor is past the messages, and their effect is missing."""
    await run(database, "delete from tickets")
    await run(database, "delete from inbox where consumer = 'tickets'")
    report = cli("replay", "--since", "1h", "--topic", "order.paid")
    assert report.stdout.split("\t")[:4] == ["tickets", "order.paid", "2", "2"]
    assert "2 messages would be delivered; nothing was changed" in report.stderr
    assert await run(database, "select id from tickets") == []
    for delivered in (2, 0):
        since = parse_since("1h")
        await outbox_replay.replay(settings, database, since, ["order.paid"], None, yes=True)
        assert f"{delivered} messages were delivered" in capfd.readouterr().err
        assert len(await run(database, "select id from tickets")) == 2


@pytest.mark.usefixtures("sold")
async def test_messages_that_a_reader_has_not_reached_are_not_replayed(
    database: Database, settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    await run(database, "delete from inbox where consumer = 'tickets'")
    await run(database, "update outbox_cursor set window_from = '0', window_to = null, last_id = 0")
    await outbox_replay.replay(
        settings, database, func.now() - func.make_interval(0, 0, 0, 1), ["order.paid"], None, True
    )
    assert "0 messages were delivered" in capfd.readouterr().err


@pytest.mark.usefixtures("sold")
async def test_the_part_of_an_open_window_that_was_read_is_replayed(
    database: Database, settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    await run(database, "delete from tickets")
    await run(database, "delete from inbox where consumer = 'tickets'")
    first = "(select min(id) from outbox where topic = 'order.paid')"
    window = f"window_from = '0', window_to = log_position(pg_snapshot_xmin(pg_current_snapshot())), last_id = {first}"
    await run(database, f"update outbox_cursor set {window} where reader = 'tickets'")
    await outbox_replay.replay(settings, database, parse_since("1h"), ["order.paid"], None, yes=True)
    assert "1 messages were delivered" in capfd.readouterr().err
    assert await run(database, "select error from dead_letters") == []
    assert len(await run(database, "select id from tickets")) == 1


@pytest.mark.usefixtures("sold")
async def test_a_reader_is_forgotten_unless_its_lease_is_held(cli: Cli, database: Database) -> None:
    log = await read_some(database, "gone", 1)
    await run(database, "update outbox_cursor set lease_until = now() + interval '1 hour' where reader = 'gone'")
    refused = cli("forget", "gone", "--yes")
    assert (refused.returncode, "is in use by another process" in refused.stderr) == (1, True)
    await log.release()
    assert "unread rows. With --yes it is done." in cli("forget", "gone").stdout
    assert await run(database, "select 1 from outbox_cursor where reader = 'gone'") == [1]
    assert cli("forget", "gone", "--yes").stdout == "gone is forgotten.\n"
    unknown = cli("forget", "gone")
    assert (unknown.returncode, "there is no reader gone; the readers are" in unknown.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--since", "soon", "--topic", "order.paid"], "an age such as 2h"),
        (["--since", "2h", "--topic", "order.payed"], "unknown topic order.payed"),
        (["--since", "2h", "--topic", "order.paid", "--group", "cooks"], "there is no consumer group cooks"),
    ],
)
def test_a_wrong_replay_is_reported_in_one_sentence(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.setattr("ticketing.cli.actions.outbox_replay.platform_settings", lambda: settings)
    monkeypatch.setattr("ticketing.cli.actions.outbox_replay.log_to_stderr", lambda _: None)
    result = CliRunner().invoke(commands, ["outbox", "replay", *arguments])
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (2, "", 1)
    assert words in result.stderr
