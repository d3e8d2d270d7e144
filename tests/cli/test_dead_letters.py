"""`ticketing dlq`: lists, shows, replays and drops dead letters, and changes nothing without `--yes`."""

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

#: Dead letters of the tickets consumer, one for each message about a paid order.
DEAD_LETTER = """
with failed as (select o.*, 'tickets' as consumer from outbox o where topic = 'order.paid'),
     done as (insert into inbox (consumer, message_id) select consumer, message_id from failed)
insert into dead_letters (consumer, organization_id, topic, key, message_id, message, error, attempts, origin)
select consumer, organization_id, topic, key, message_id,
       to_jsonb(failed) - 'id' - 'xid' - 'consumer', E'Traceback:\\nKeyError: ''printer''', 8, 'outbox/' || id
  from failed returning id"""


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
async def dead_letter_ids(app: FastAPI, world: World, database: Database) -> list[int]:
    """The IDs of dead letters of two orders, which are paid and have no tickets."""
    show, buyer = await world.show(rows=1, seats=2), await world.person()
    await world.buy(buyer, show, "Stalls-A-1")
    await world.buy(buyer, show, "Stalls-A-2")
    return await run(database, DEAD_LETTER)


async def test_dead_letters_are_listed_in_lines_and_shown_as_json(cli: Cli, dead_letter_ids: list[int]) -> None:
    listed = cli("list")
    lines = [line.split("\t") for line in listed.stdout.splitlines()]
    assert (listed.returncode, [int(line[0]) for line in lines]) == (0, dead_letter_ids)
    assert lines[0][2:] == ["tickets", "order.paid", "8", "KeyError: 'printer'"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}Z", lines[0][1])
    chosen = cli("list", "--topic", "order.paid", "--consumer", "tickets", "--since", "5m", "--limit", "1")
    assert chosen.stdout.splitlines() == listed.stdout.splitlines()[:1]
    shown = json.loads(cli("show", str(dead_letter_ids[0])).stdout)
    assert shown["error"] == ["Traceback:", "KeyError: 'printer'"]
    assert shown["message"]["payload"]["order_id"] == shown["key"]
    assert {"correlation_id", "traceparent", "actor", "schema_version"} <= shown["message"].keys()


async def test_nothing_changes_without_yes(cli: Cli, dead_letter_ids: list[int], database: Database) -> None:
    report = cli("replay", "--all")
    assert [int(line.split("\t")[0]) for line in report.stdout.splitlines()] == dead_letter_ids
    assert (report.returncode, "2 dead letters would be replayed; nothing was changed" in report.stderr) == (0, True)
    assert "2 dead letters would be dropped; nothing was changed" in cli("drop", "--consumer", "tickets").stderr
    assert await run(database, "select id from dead_letters order by id") == dead_letter_ids
    assert await run(database, "select id from tickets") == []


async def test_a_replay_has_the_effect_and_continues_after_a_failure(
    cli: Cli, dead_letter_ids: list[int], database: Database
) -> None:
    unknown_order = "update dead_letters set message = jsonb_set(message, '{payload,order_id}', '\"%s\"') where id = %d"
    await run(database, unknown_order % ("01234567-89ab-7def-8123-456789abcdef", dead_letter_ids[0]))
    done = cli("replay", "--topic", "order.paid", "--yes")
    first, second = [line.split("\t") for line in done.stdout.splitlines()]
    assert (first[:2], second) == ([str(dead_letter_ids[0]), "failed"], [str(dead_letter_ids[1]), "done"])
    assert done.returncode == 1
    assert len(await run(database, "select id from tickets")) == 1
    assert await run(database, "select attempts from dead_letters") == [9]
    again = cli("replay", str(dead_letter_ids[1]), "--yes")
    assert (again.returncode, again.stdout.split("\t")[1]) == (1, "gone")


async def test_a_dropped_dead_letter_is_logged(cli: Cli, dead_letter_ids: list[int], database: Database) -> None:
    (message_id,) = await run(database, f"select message_id from dead_letters where id = {dead_letter_ids[0]}")
    dropped = cli("drop", str(dead_letter_ids[0]), "--yes")
    assert (dropped.returncode, dropped.stdout) == (0, f"{dead_letter_ids[0]}\tdropped\n")
    (line,) = [json.loads(line) for line in dropped.stderr.splitlines()]
    assert (line["event"], line["letter"], line["group"]) == ("dead_letter_dropped", dead_letter_ids[0], "tickets")
    assert line["message_id"] == str(message_id)
    assert await run(database, "select id from dead_letters") == [dead_letter_ids[1]]
    assert await run(database, "select id from tickets") == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["replay"], "choose dead letters by"),
        (["drop", "--yes"], "choose dead letters by"),
        (["replay", "--all", "--topic", "order.paid"], "--all: comes without"),
        (["list", "--since", "yesterday"], "an age such as 2h"),
        (["list", "--since", "2026-11-21T18:00:00"], "an age such as 2h"),
    ],
)
def test_wrong_use_is_reported_in_one_sentence(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(commands, ["dlq", *arguments])
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (2, "", 1)
    assert words in result.stderr


def test_a_missing_dead_letter_or_database_is_reported_in_one_sentence(cli: Cli) -> None:
    nothing = cli("show", "7")
    assert (nothing.returncode, nothing.stderr) == (1, "ticketing: there is no dead letter 7\n")
    away = cli("list", WORKER_DATABASE_URL="postgresql://nobody@127.0.0.1:1/x")
    assert (away.returncode, len(away.stderr.splitlines())) == (1, 1)
    assert away.stderr.startswith("ticketing: the database does not answer (connection failed: ")
