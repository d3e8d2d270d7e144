"""`ticketing dlq` at the command line: what it shows, what it does, and that it does nothing before it is told to."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import text
from typer.testing import CliRunner

from tests.support import forking
from tests.support.world import World
from ticketing.cli.app import app as commands
from ticketing.infra.config import Settings
from ticketing.infra.db import Database

Cli = Callable[..., subprocess.CompletedProcess[str]]

#: The consumer of tickets gives up what it was told of an order.
GIVE_UP = """
with gone as (select o.*, 'tickets' as consumer from outbox o where topic = 'order.paid'),
     done as (insert into inbox (consumer, message_id) select consumer, message_id from gone)
insert into dead_letters (consumer, organization_id, topic, key, message_id, message, error, attempts, origin)
select consumer, organization_id, topic, key, message_id,
       to_jsonb(gone) - 'id' - 'xid' - 'consumer', E'Traceback:\\nKeyError: ''printer''', 8, 'outbox/' || id
  from gone returning id"""


@pytest.fixture
def cli(settings: Settings, tmp_path: Path) -> Cli:
    variables = {"WORKER_DATABASE_URL": settings.worker_database_url, "REDIS_URL": settings.redis_url}

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **variables, "LOG_LEVEL": "info", **more}
        return forking.run("ticketing.cli", "dlq", *arguments, cwd=tmp_path, env=environment)

    return run


async def run(database: Database, statement: str) -> list[Any]:
    async with database.transaction() as session:
        found = await session.execute(text(statement))
        return list(found.scalars()) if found.returns_rows else []


@pytest.fixture
async def letters(app: FastAPI, world: World, database: Database) -> list[int]:
    """Two orders that are paid and have no tickets."""
    show, buyer = await world.show(rows=1, seats=2), await world.person()
    await world.buy(buyer, show, "Stalls-A-1")
    await world.buy(buyer, show, "Stalls-A-2")
    return await run(database, GIVE_UP)


async def test_letters_are_listed_a_line_each_and_shown_whole(cli: Cli, letters: list[int]) -> None:
    listed = cli("list")
    lines = [line.split("\t") for line in listed.stdout.splitlines()]
    assert (listed.returncode, [int(line[0]) for line in lines]) == (0, letters)
    assert lines[0][2:] == ["tickets", "order.paid", "8", "KeyError: 'printer'"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}Z", lines[0][1])
    chosen = cli("list", "--topic", "order.paid", "--consumer", "tickets", "--since", "5m", "--limit", "1")
    assert chosen.stdout.splitlines() == listed.stdout.splitlines()[:1]
    shown = json.loads(cli("show", str(letters[0])).stdout)
    assert shown["error"] == ["Traceback:", "KeyError: 'printer'"]
    assert shown["message"]["payload"]["order_id"] == shown["key"]
    assert {"correlation_id", "traceparent", "actor", "schema_version"} <= shown["message"].keys()


async def test_nothing_is_done_before_it_is_said(cli: Cli, letters: list[int], database: Database) -> None:
    told = cli("replay", "--all")
    assert [int(line.split("\t")[0]) for line in told.stdout.splitlines()] == letters
    assert (told.returncode, "2 dead letters would be replayed; nothing was changed" in told.stderr) == (0, True)
    assert "2 dead letters would be dropped; nothing was changed" in cli("drop", "--consumer", "tickets").stderr
    assert await run(database, "select id from dead_letters order by id") == letters
    assert await run(database, "select id from tickets") == []


async def test_a_replay_makes_the_effect_and_goes_on_past_what_fails(
    cli: Cli, letters: list[int], database: Database
) -> None:
    lost = "update dead_letters set message = jsonb_set(message, '{payload,order_id}', '\"%s\"') where id = %d"
    await run(database, lost % ("01234567-89ab-7def-8123-456789abcdef", letters[0]))
    done = cli("replay", "--topic", "order.paid", "--yes")
    first, second = [line.split("\t") for line in done.stdout.splitlines()]
    assert (first[:2], second) == ([str(letters[0]), "failed"], [str(letters[1]), "done"])
    assert done.returncode == 1
    assert len(await run(database, "select id from tickets")) == 1
    assert await run(database, "select attempts from dead_letters") == [9]
    again = cli("replay", str(letters[1]), "--yes")
    assert (again.returncode, again.stdout.split("\t")[1]) == (1, "gone")


async def test_what_is_dropped_is_told_in_the_log(cli: Cli, letters: list[int], database: Database) -> None:
    (message_id,) = await run(database, f"select message_id from dead_letters where id = {letters[0]}")
    dropped = cli("drop", str(letters[0]), "--yes")
    assert (dropped.returncode, dropped.stdout) == (0, f"{letters[0]}\tdropped\n")
    (line,) = [json.loads(line) for line in dropped.stderr.splitlines()]
    assert (line["event"], line["letter"], line["group"]) == ("dead_letter_dropped", letters[0], "tickets")
    assert line["message_id"] == str(message_id)
    assert await run(database, "select id from dead_letters") == [letters[1]]
    assert await run(database, "select id from tickets") == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["replay"], "say which"),
        (["drop", "--yes"], "say which"),
        (["replay", "--all", "--topic", "order.paid"], "--all: comes without"),
        (["list", "--since", "yesterday"], "an age such as 2h"),
        (["list", "--since", "2026-11-21T18:00:00"], "an age such as 2h"),
    ],
)
def test_a_wrong_use_is_told_in_a_sentence(arguments: list[str], words: str) -> None:
    said = CliRunner().invoke(commands, ["dlq", *arguments])
    assert (said.exit_code, said.stdout, len(said.stderr.splitlines())) == (2, "", 1)
    assert words in said.stderr


def test_what_is_not_there_is_told_in_a_sentence(cli: Cli) -> None:
    nothing = cli("show", "7")
    assert (nothing.returncode, nothing.stderr) == (1, "ticketing: there is no dead letter 7\n")
    away = cli("list", WORKER_DATABASE_URL="postgresql://nobody@127.0.0.1:1/x")
    assert (away.returncode, away.stderr) == (1, "ticketing: the database does not answer\n")
