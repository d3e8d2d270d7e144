"""Row values and email addresses in errors are not logged."""

import asyncio
import io
import json
import logging
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from ticketing.infra import log
from ticketing.infra.db import Database

MINUTE = timedelta(minutes=1)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Everything that is logged, as a process prints it."""
    root, output = logging.getLogger(), io.StringIO()
    before, level = list(root.handlers), root.level
    monkeypatch.setattr(sys, "stdout", output)
    log.configure("json", "debug", "test")
    yield output
    root.handlers[:] = before
    root.setLevel(level)


INSERT = "insert into users (id, email, email_normalized, password_hash) values (gen_random_uuid(), :e, :e, 'secret')"


async def provoke(database: Database, statement: str, **values: str) -> IntegrityError:
    with pytest.raises(IntegrityError) as raised:
        async with database.transaction() as session:
            await session.execute(text(statement), values)
    return raised.value


@pytest.mark.parametrize("name", ["Zebedee", "Zebedee\nthe\n\nSecond"])
async def test_a_row_that_violates_a_constraint_is_not_logged(
    database: Database, lines: io.StringIO, name: str
) -> None:
    statement = "insert into users (id, email, email_normalized, display_name) values (gen_random_uuid(), :n, :n, :n)"
    error = await provoke(database, statement, n=name)
    assert "Zebedee" in str(error)
    for fields in ({"exc_info": error}, {"error": str(error)}, {"error": repr(error)}):
        log.get_logger("test").error("failed", **fields)
    logging.getLogger("library").error("failed", exc_info=error)
    printed = lines.getvalue()
    assert printed.count("[detail left out]") >= 4
    assert "Zebedee" not in printed
    assert "violates not-null constraint" in printed
    assert [json.loads(line)["event"] for line in printed.splitlines()] == ["failed"] * 4


async def test_a_duplicate_value_is_not_logged(database: Database, lines: io.StringIO) -> None:
    async with database.transaction() as session:
        await session.execute(text(INSERT), {"e": "Zebedee"})
    log.get_logger("test").error("failed", exc_info=await provoke(database, INSERT, e="Zebedee"))
    assert "uq_users_email_normalized" in lines.getvalue()
    assert "Zebedee" not in lines.getvalue()


async def test_the_fast_path_writes_the_same_line(lines: io.StringIO) -> None:
    token = log.correlation_id.set("from the request")
    log.log_message("message_done", "tickets", "order.paid")
    log.correlation_id.reset(token)
    await asyncio.sleep(0)  # such lines are written at the end of an iteration of the event loop
    log.get_logger("ticketing.bus").info(
        "message_done", group="tickets", topic="order.paid", correlation_id="from the request"
    )
    printed = [json.loads(line) for line in lines.getvalue().splitlines()]
    fast, usual = (line for line in printed if line["event"] == "message_done")
    assert abs(datetime.fromisoformat(fast.pop("timestamp")) - datetime.fromisoformat(usual.pop("timestamp"))) < MINUTE
    assert fast == usual


def test_email_addresses_are_never_logged(lines: io.StringIO) -> None:
    log.get_logger("test").warning("refused for ada+1@mail.example.com.", error="<grüße@bücher.example>: no")
    line = json.loads(lines.getvalue())
    assert (line["event"], line["error"]) == ("refused for [address].", "<[address]>: no")


def test_text_after_a_detail_is_kept() -> None:
    text = "no\nDETAIL:  Key (email)=(x) already exists.\n[SQL: insert]\n(Background)"
    assert log.redact(text) == "no\n[detail left out]\n[SQL: insert]\n(Background)"


def test_other_text_is_unchanged() -> None:
    assert log.redact("seats taken: 3 @ 4500 in detail: none") == "seats taken: 3 @ 4500 in detail: none"
