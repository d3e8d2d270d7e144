"""The report of a rehearsal: on the terminal, and as an HTML file without external resources."""

from collections.abc import Iterable, Sequence
from html import escape

from rich.console import Console
from rich.table import Table

from ticketing.rehearsal import figures
from ticketing.rehearsal.results import RehearsalResults
from ticketing.rehearsal.thresholds import ThresholdResult

STEP_HEADINGS = ("Step", "Responses", "p50", "p95", "p99", "Statuses")

_STYLE = """
body{margin:0 auto;max-width:60rem;padding:2rem 1rem;font:16px/1.5 system-ui,sans-serif;color:#171b21;background:#fff}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
.verdict{padding:1rem 1.25rem;border-radius:.5rem;color:#fff;font-size:2rem;font-weight:700}
.go{background:#1b6e3c}.no-go{background:#a3212b}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .75rem .3rem 0;vertical-align:top;
border-bottom:1px solid #d9dee4;overflow-wrap:anywhere}th{font-weight:600}td:first-child{white-space:nowrap}
.bar{fill:#1c567c}figure{margin:0}figcaption{color:#5c6570;font-size:.9rem}"""


def verdict_of(thresholds: Sequence[ThresholdResult]) -> str:
    """GO if every rule is kept, else NO-GO."""
    return "GO" if all(each.is_kept for each in thresholds) else "NO-GO"


def print_report(console: Console, results: RehearsalResults, thresholds: Sequence[ThresholdResult]) -> None:
    """Print the report to a terminal or a log."""
    console.print()
    console.print(f"Rehearsal of {results.title}", markup=False, style="bold")
    _print_table(console, ((name, value) for name, value in figures.summary(results).items()))
    _print_table(console, figures.steps(results), STEP_HEADINGS)
    _print_table(console, figures.outcomes(results), ("Buyers who …", ""))
    marked = [("ok" if each.is_kept else "NO", each.rule, each.found) for each in thresholds]
    _print_table(console, marked, ("", "Rule", "Found"))
    for line in [*results.statistics.examples, *(f"Note: {note}" for note in results.notes())]:
        console.print(f"  {line}", markup=False)
    verdict = verdict_of(thresholds)
    console.print(f"\n{verdict}", style="bold white on green" if verdict == "GO" else "bold white on red")


def _print_table(console: Console, rows: Iterable[Sequence[str]], headings: Sequence[str] = ()) -> None:
    table = Table(box=None, show_header=bool(headings), pad_edge=False, padding=(0, 2))
    for heading in headings or ("", ""):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(cell.replace("[", "\\[") for cell in row))
    console.print()
    console.print(table)


def as_html(results: RehearsalResults, thresholds: Sequence[ThresholdResult]) -> str:
    """The report as an HTML page. All texts are escaped."""
    verdict = verdict_of(thresholds)
    marked = [("kept" if each.is_kept else "BROKEN", each.rule, each.found) for each in thresholds]
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>{verdict}: rehearsal of {escape(results.title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>Rehearsal of {escape(results.title)}</h1>",
        f'<p class="verdict {verdict.lower()}">{verdict}</p>',
        _table(figures.summary(results).items()),
        _section("Rules", _table(marked, ("", "Rule", "Found"))),
        _section("Holds granted per second", _bars(results)),
        _section("Responses", _table(figures.steps(results), STEP_HEADINGS)),
        _section("Outcomes of the buyers", _table(figures.outcomes(results))),
        _section("Errors", _list(results.statistics.examples)),
        _section("Notes", _list(list(results.notes()))),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _section(title: str, content: str) -> str:
    return f"<h2>{title}</h2>{content}" if content else ""


def _table(rows: Iterable[Sequence[str]], headings: Sequence[str] = ()) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in headings)
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{lines}</tbody></table>"


def _list(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>" if lines else ""


def _bars(results: RehearsalResults) -> str:
    counts = results.statistics.holds_by_second
    if not counts:
        return ""
    first, last, peak = min(counts), max(counts), max(counts.values())
    bars = "".join(
        f'<rect class="bar" x="{second - first}" y="{100 - height:.2f}" width="0.9" height="{height:.2f}"/>'
        for second, count in sorted(counts.items())
        if (height := 100 * count / peak)
    )
    picture = f'<svg viewBox="0 0 {last - first + 1} 100" preserveAspectRatio="none" width="100%" height="120"'
    label = f"{last - first + 1} seconds; the highest bar is {peak} holds"
    return f'<figure>{picture} role="img" aria-label="{label}">{bars}</svg><figcaption>{label}</figcaption></figure>'
