"""Rows for operators: a table on a terminal, and tab-separated lines for scripts everywhere else."""

from collections.abc import Collection, Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

Cell = str | Text


def open_console() -> Console:
    """Standard output, without highlighting, and without line breaks inside a row that is wider than the terminal."""
    return Console(highlight=False, soft_wrap=True)


def print_rows(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right_aligned: Collection[str] = (),
    line_prefix: str = "",
    console: Console | None = None,
) -> None:
    """Print the rows, to standard output unless a console is given.

    `line_prefix` is the first field of each tab-separated line, to tell apart the lines of several tables.
    """
    console = console or open_console()
    if console.is_terminal:
        console.print(as_table(columns, rows, right_aligned))
        console.print()
        return
    for row in rows:
        # Not with `console.print`, which replaces tabs with spaces.
        console.file.write("\t".join((line_prefix, *row) if line_prefix else row) + "\n")


def as_table(columns: Sequence[str], rows: Sequence[Sequence[Cell]], right_aligned: Collection[str] = ()) -> Table:
    """A table without borders. Cells are text, never markup: a seat label may contain brackets."""
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right_aligned else "left")
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return table


def format_time(time: datetime | None) -> str:
    """RFC 3339 in seconds, or "-"."""
    return "-" if time is None else time.isoformat(timespec="seconds").replace("+00:00", "Z")


def format_seconds(seconds: float) -> str:
    """One decimal. A negative age, from a clock that was set back, is shown as 0."""
    return f"{max(seconds, 0):.1f}"
