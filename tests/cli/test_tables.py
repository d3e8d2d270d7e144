"""Rows are printed as a table on a terminal, and as tab-separated lines elsewhere."""

from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console

from ticketing.cli.actions import dead_letters, outbox_status
from ticketing.cli.tables import format_seconds, format_time, print_rows
from ticketing.infra.bus.dead_letters import DeadLetter
from ticketing.infra.outbox.status import ROWS_MAX, HorizonHolder, Partition, Reader

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def open_console(*, is_terminal: bool) -> tuple[Console, StringIO]:
    written = StringIO()
    return Console(file=written, force_terminal=is_terminal, width=200, color_system=None), written


def test_rows_are_a_table_on_a_terminal() -> None:
    console, written = open_console(is_terminal=True)
    print_rows(("name", "rows"), [("orders", "7"), ("[bold]", "12")], right_aligned=("rows",), console=console)
    assert [line.rstrip() for line in written.getvalue().splitlines()] == [
        "name    rows",
        "orders     7",
        "[bold]    12",
        "",
    ]


def test_rows_are_tab_separated_lines_elsewhere() -> None:
    console, written = open_console(is_terminal=False)
    print_rows(("name", "rows"), [("orders", "7")], console=console)
    print_rows(("name", "rows"), [("[bold]" * 99, "12")], line_prefix="reader", console=console)
    assert written.getvalue() == f"orders\t7\nreader\t{'[bold]' * 99}\t12\n"


def test_no_rows_are_no_lines() -> None:
    console, written = open_console(is_terminal=False)
    print_rows(("name",), [], console=console)
    assert written.getvalue() == ""


def test_times_and_ages_have_one_form() -> None:
    assert (format_time(NOON), format_time(None)) == ("2026-11-21T12:00:00Z", "-")
    assert (format_seconds(1.26), format_seconds(-3)) == ("1.3", "0.0")


def a_dead_letter() -> DeadLetter:
    error = "Traceback:\nKeyError: a\tb"
    fields = {"consumer": "tickets", "topic": "order.paid", "attempts": 8, "error": error, "created_at": NOON}
    return DeadLetter(id=7, **fields)


@pytest.mark.parametrize(("count", "summary"), [(0, "No dead letters."), (1, "1 dead letter."), (2, "2 dead letters.")])
def test_dead_letters_are_counted_on_a_terminal(count: int, summary: str) -> None:
    console, written = open_console(is_terminal=True)
    dead_letters.print_dead_letters([a_dead_letter()] * count, console=console)
    assert written.getvalue().splitlines()[-1] == summary


def test_a_dead_letter_is_one_line_in_a_pipe() -> None:
    console, written = open_console(is_terminal=False)
    dead_letters.print_dead_letters([a_dead_letter()], is_cut=True, console=console)
    assert written.getvalue() == "7\t2026-11-21T12:00:00Z\ttickets\torder.paid\t8\tKeyError: a b\n"


def test_a_status_names_the_table_of_each_line() -> None:
    console, written = open_console(is_terminal=False)
    partition = Partition("outbox_20261121", ROWS_MAX, 262144, NOON, None)
    readers = [
        Reader("orders", True, "1538", "vm:1", NOON, NOON, 0, 0.0),
        Reader("relay", False, "7", None, None, NOON, 3, 41.26),
    ]
    holders = [HorizonHolder(25096, "psql", 145.62), HorizonHolder(None, "a prepared transaction", None)]
    outbox_status.print_status([partition], readers, holders, console)
    assert written.getvalue().splitlines() == [
        f"partition\toutbox_20261121\t{ROWS_MAX}+\t262144\t2026-11-21T12:00:00Z\t-",
        "reader\torders\t0\t-\t1538\tvm:1\t2026-11-21T12:00:00Z\t2026-11-21T12:00:00Z",
        "reader\t(relay)\t3\t41.3\t7\t-\t-\t2026-11-21T12:00:00Z",
        "pin\tpsql\t25096\t145.6",
        "pin\ta prepared transaction\t-\t-",
    ]
