"""What `ticketing check` shows: a table on a terminal, and lines that a script can read anywhere else."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ticketing.invariants.invariant import Verdict


def show(verdicts: Sequence[Verdict], console: Console | None = None) -> bool:
    """Print what was found, to standard output unless a console is given; True when nothing contradicts itself."""
    console = console or Console(highlight=False, soft_wrap=True)
    if console.is_terminal:
        console.print(_table(verdicts))
        console.print(_summary(verdicts))
    else:
        for line in lines(verdicts):
            console.out(line, highlight=False)
    return not any(verdict.count for verdict in verdicts)


def lines(verdicts: Sequence[Verdict]) -> list[str]:
    """One line for each invariant, and the named offenders indented under theirs."""
    said = []
    for verdict in verdicts:
        said.append(f"{verdict.count or 'ok':>6}  {verdict.invariant.sentence}")
        said += [f"        {name}" for name in verdict.named]
    return [*said, _summary(verdicts).plain]


def _table(verdicts: Sequence[Verdict]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("", justify="right")
    table.add_column("What has to be true")
    for verdict in verdicts:
        mark = Text(str(verdict.count), "bold red") if verdict.count else Text("ok", "green")
        sentence = Text(verdict.invariant.sentence, "bold" if verdict.count else "")
        for name in verdict.named:  # as text, for a label in brackets is no markup
            sentence.append(f"\n  {name}", "red")
        if verdict.count > len(verdict.named):
            sentence.append(f"\n  and {verdict.count - len(verdict.named)} more", "dim")
        table.add_row(mark, sentence)
    return table


def _summary(verdicts: Sequence[Verdict]) -> Text:
    broken = sum(1 for verdict in verdicts if verdict.count)
    if not broken:
        return Text(f"All {len(verdicts)} hold.", "green")
    return Text(f"{broken} of {len(verdicts)} do not hold.", "bold red")
