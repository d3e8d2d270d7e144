"""`ticketing outbox` at the command line: what it shows of the log, and what it brings once more."""

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
from ticketing.cli import outbox_replay
from ticketing.cli.app import app as commands
from ticketing.cli.options import read_since
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
    """Two orders that are paid, with their tickets."""
    show, buyer = await world.show(rows=1, seats=2), await world.person()
    await world.buy(buyer, show, "Stalls-A-1")
    await world.buy(buyer, show, "Stalls-A-2")
    await drain(app)


async def read_some(database: Database, reader: str, limit: int) -> LogReader:
    log = LogReader(database, reader, "somebody", page_rows=limit)
    assert await log.acquire()
    await log.advance((await log.read())[-1].log_id)
    return log


@pytest.mark.usefixtures("sold")
async def test_the_log_its_readers_and_who_holds_them_up_are_shown(cli: Cli, database: Database) -> None:
    await read_some(database, "slow", 1)
    (rows,) = await run(database, "select count(*) from outbox")
    async with database.transaction() as session:
        await session.execute(text("set local application_name = 'a long report'"))
        # A command needs seconds to start on a busy machine, and it is to find this one still there.
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
    assert readers["slow"][3] == "somebody"
    assert [line[1] for line in lines if line[0] == "pin"] == ["a long report"]


@pytest.mark.usefixtures("sold")
async def test_who_lags_more_than_it_may_is_an_exit_status(cli: Cli, database: Database, owner: Database) -> None:
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
    away = cli("lag", KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert (away.returncode, away.stdout.split("\t")[0]) == (1, "relay")
    assert "the broker does not answer" in away.stderr


@pytest.mark.usefixtures("sold")
async def test_what_a_group_has_not_done_is_brought_to_it_once(
    cli: Cli, database: Database, settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    """As after a restore: the cursor is past it, and its effect is not there."""
    await run(database, "delete from tickets")
    await run(database, "delete from inbox where consumer = 'tickets'")
    told = cli("replay", "--since", "1h", "--topic", "order.paid")
    assert told.stdout.split("\t")[:4] == ["tickets", "order.paid", "2", "2"]
    assert "2 messages would be brought; nothing was changed" in told.stderr
    assert await run(database, "select id from tickets") == []
    for brought in (2, 0):
        since = read_since("1h")
        await outbox_replay.replay(settings, database, since, ["order.paid"], None, yes=True)
        assert f"{brought} messages were brought" in capfd.readouterr().err
        assert len(await run(database, "select id from tickets")) == 2


@pytest.mark.usefixtures("sold")
async def test_what_a_reader_has_not_come_to_is_not_replayed(
    database: Database, settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    await run(database, "delete from inbox where consumer = 'tickets'")
    await run(database, "update outbox_cursor set window_from = '0', window_to = null, last_id = 0")
    await outbox_replay.replay(
        settings, database, func.now() - func.make_interval(0, 0, 0, 1), ["order.paid"], None, True
    )
    assert "0 messages were brought" in capfd.readouterr().err


@pytest.mark.usefixtures("sold")
async def test_of_a_window_that_is_open_what_was_done_is_replayed(
    database: Database, settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    await run(database, "delete from tickets")
    await run(database, "delete from inbox where consumer = 'tickets'")
    first = "(select min(id) from outbox where topic = 'order.paid')"
    window = f"window_from = '0', window_to = pg_snapshot_xmin(pg_current_snapshot()), last_id = {first}"
    await run(database, f"update outbox_cursor set {window} where reader = 'tickets'")
    await outbox_replay.replay(settings, database, read_since("1h"), ["order.paid"], None, yes=True)
    assert "1 messages were brought" in capfd.readouterr().err
    assert await run(database, "select error from dead_letters") == []
    assert len(await run(database, "select id from tickets")) == 1


@pytest.mark.usefixtures("sold")
async def test_a_reader_is_forgotten_when_nobody_reads_for_it(cli: Cli, database: Database) -> None:
    log = await read_some(database, "gone", 1)
    await run(database, "update outbox_cursor set lease_until = now() + interval '1 hour' where reader = 'gone'")
    refused = cli("forget", "gone", "--yes")
    assert (refused.returncode, "is being read for by somebody" in refused.stderr) == (1, True)
    await log.release()
    assert "rows that it has not read. With --yes it is done." in cli("forget", "gone").stdout
    assert await run(database, "select 1 from outbox_cursor where reader = 'gone'") == [1]
    assert cli("forget", "gone", "--yes").stdout == "gone is forgotten.\n"
    unknown = cli("forget", "gone")
    assert (unknown.returncode, "there is no reader gone; there are" in unknown.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--since", "soon", "--topic", "order.paid"], "an age such as 2h"),
        (["--since", "2h", "--topic", "order.payed"], "nobody publishes order.payed"),
        (["--since", "2h", "--topic", "order.paid", "--group", "cooks"], "there is no consumer group cooks"),
    ],
)
def test_a_wrong_replay_is_told_in_a_sentence(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.setattr("ticketing.cli.outbox.platforms_settings", lambda: settings)
    monkeypatch.setattr("ticketing.cli.outbox.log_to_stderr", lambda _: None)
    said = CliRunner().invoke(commands, ["outbox", "replay", *arguments])
    assert (said.exit_code, said.stdout, len(said.stderr.splitlines())) == (2, "", 1)
    assert words in said.stderr
