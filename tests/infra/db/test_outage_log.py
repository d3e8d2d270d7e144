"""The log says once per outage, in the server's words, why the database is unavailable."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from ticketing.infra import log
from ticketing.infra.config import Settings
from ticketing.infra.db import Database, outage_log


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a process logs in its first outage."""
    root, output = logging.getLogger(), io.StringIO()
    before, level = list(root.handlers), root.level
    monkeypatch.setattr(outage_log, "_last_at", {})
    log.configure("json", "warning", "test", output)
    yield output
    root.handlers[:] = before
    root.setLevel(level)


async def words_after(settings: Settings, url: str, lines: io.StringIO, statement: str = "") -> list[str]:
    """The texts that are logged when three attempts fail."""
    database, begin = Database(settings, url=url), len(lines.getvalue())
    for _ in range(3):
        with pytest.raises(OperationalError):
            async with database.engine.connect() as connection:
                await connection.execute(text(statement))
    await database.close()
    logged = map(json.loads, lines.getvalue()[begin:].splitlines())
    return [line["error"] for line in logged if line["logger"] == outage_log.__name__]


async def test_the_reason_for_a_refused_connection_is_logged_once(
    settings: Settings, database_url: str, lines: io.StringIO
) -> None:
    url = make_url(database_url)
    for changed, words in (
        (url.set(database="elsewhere"), 'database "elsewhere" does not exist'),
        (url.set(username="stranger", password="hunter2-secret"), 'role "stranger" does not exist'),
        (url.set(port=1), "Connection refused"),
    ):
        (logged,) = await words_after(settings, changed.render_as_string(hide_password=False), lines)
        assert words in logged
        assert "hunter2" not in logged


async def test_the_reason_for_a_lost_connection_is_logged_once_and_again_in_a_later_outage(
    settings: Settings, database_url: str, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill = "select pg_terminate_backend(pg_backend_pid())"
    logged = await words_after(settings, database_url, lines, kill)
    assert logged == ["terminating connection due to administrator command"]
    monkeypatch.setattr(outage_log, "QUIET_SECONDS", 0.0)
    assert len(await words_after(settings, database_url, lines, kill)) == 3


async def test_conflicts_and_timeouts_of_one_statement_are_not_reported_as_outages(
    settings: Settings, database_url: str, lines: io.StringIO
) -> None:
    assert not await words_after(
        settings, database_url, lines, "do $$ begin raise exception 'late' using errcode = '57014'; end $$"
    )
