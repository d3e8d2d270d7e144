"""What `ticketing dlq` shows: a table on a terminal, and lines that a script can cut at tabs anywhere else."""

from collections.abc import Sequence
from datetime import datetime

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ticketing.infra.bus.dead_letters import DeadLetter
from ticketing.infra.bus.redelivery import last_line

COLUMNS = ("id", "given up", "consumer", "topic", "attempts", "error")
ERROR_CHARACTERS = 120


def show(letters: Sequence[DeadLetter], *, is_cut: bool = False, console: Console | None = None) -> None:
    """Print them, to standard output unless a console is given. `is_cut`: there are more."""
    console = console or Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        for letter in letters:
            console.file.write("\t".join(_cells(letter)) + "\n")  # the console itself would turn tabs into blanks
        return
    if letters:
        console.print(_table(letters))
    more = "; there are more, see --limit" if is_cut else ""
    count = f"{len(letters)} dead letter{'' if len(letters) == 1 else 's'}{more}." if letters else "No dead letters."
    console.print(Text(count, "" if letters else "green"))


def _table(letters: Sequence[DeadLetter]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in COLUMNS:
        table.add_column(name, justify="right" if name in {"id", "attempts"} else "left")
    for letter in letters:
        table.add_row(*(Text(cell) for cell in _cells(letter)))  # as text, for brackets are no markup
    return table


def _cells(letter: DeadLetter) -> tuple[str, ...]:
    error = last_line(letter.error).replace("\t", " ")[:ERROR_CHARACTERS]
    return str(letter.id), _time(letter.created_at), letter.consumer, letter.topic, str(letter.attempts), error


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def as_json(letter: DeadLetter) -> str:
    """All that is kept of one: its message with what the headers said, and the whole error."""
    names = ("id", "consumer", "topic", "key", "message_id", "organization_id", "origin", "attempts")
    told = {name: getattr(letter, name) for name in names}
    times = {"created_at": _time(letter.created_at), "failed_at": _time(letter.failed_at)}
    whole = {**told, **times, "message": letter.message, "error": letter.error.splitlines()}
    return orjson.dumps(whole, option=orjson.OPT_INDENT_2).decode()
