"""`ticketing check`: checks every invariant, and prints what contradicts them."""

import asyncio
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from ticketing import invariants
from ticketing.cli.context import operator_database_url
from ticketing.cli.tables import as_table, open_console
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.db.timeouts import LONG_STATEMENT_SECONDS
from ticketing.invariants import InvariantResult


def check_data(settings: Settings) -> bool:
    """Check the database and print the results. Returns True if every invariant holds."""
    results = asyncio.run(_check(settings, operator_database_url(settings)))
    return print_results(results)


async def _check(settings: Settings, url: str) -> list[InvariantResult]:
    database = Database(settings, url=url, statement_seconds=LONG_STATEMENT_SECONDS, adopts_log=False)
    try:
        async with database.transaction() as session:
            return await invariants.check(session)
    finally:
        await database.close()


def print_results(results: Sequence[InvariantResult], console: Console | None = None) -> bool:
    """Print the results, to standard output unless a console is given. Returns True if every invariant holds."""
    console = console or open_console()
    if console.is_terminal:
        console.print(as_table(("", "Invariant"), [*map(_row, results)], right_aligned=("",)))
        console.print(_summary(results))
    else:
        for line in _lines(results):
            console.out(line, highlight=False)
    return not any(result.count for result in results)


def _lines(results: Sequence[InvariantResult]) -> list[str]:
    """A line for each invariant, with its named offenders indented below it."""
    lines = []
    for result in results:
        lines.append(f"{result.count or 'ok':>6}  {result.invariant.sentence}")
        lines += [f"        {name}" for name in result.offenders]
    return [*lines, _summary(results).plain]


def _row(result: InvariantResult) -> tuple[Text, Text]:
    mark = Text(str(result.count), "bold red") if result.count else Text("ok", "green")
    sentence = Text(result.invariant.sentence, "bold" if result.count else "")
    for name in result.offenders:
        sentence.append(f"\n  {name}", "red")
    if result.count > len(result.offenders):
        sentence.append(f"\n  and {result.count - len(result.offenders)} more", "dim")
    return mark, sentence


def _summary(results: Sequence[InvariantResult]) -> Text:
    broken = sum(1 for result in results if result.count)
    if not broken:
        return Text(f"All {len(results)} hold.", "green")
    return Text(f"{broken} of {len(results)} do not hold.", "bold red")
