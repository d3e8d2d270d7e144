"""Results of rounds as a table: printed at the end, and written to files during the run."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.chaos.round import RoundResult

HEAD = ("fault", "rounds", "purchases", "violations", "recovery p50", "p99", "max", "viewers p99")


class Table:
    """Results by fault. Files are written after every round, because a run may be stopped at any time."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self.results: list[RoundResult] = []
        self.problems: list[str] = []

    @property
    def violations(self) -> list[str]:
        return [violation for one in self.results for violation in one.violations] + self.problems

    def add(self, result: RoundResult) -> None:
        self.results.append(result)
        self.write()

    def write(self) -> None:
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            rounds = {"rounds": [asdict(one) for one in self.results], "problems": self.problems}
            (self._folder / "chaos.json").write_text(json.dumps(rounds, indent=1))
            (self._folder / "chaos.md").write_text(self.as_text() + "\n")

    def rows(self) -> list[tuple[str, ...]]:
        by_fault = defaultdict(list)
        for result in self.results:
            by_fault[result.fault].append(result)
        rows = [_row(name, results) for name, results in by_fault.items()]
        return [*rows, _row("all", self.results)] if len(rows) > 1 else rows

    def as_text(self) -> str:
        lines = [HEAD, ("---",) * len(HEAD), *self.rows()]
        table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        return "\n".join([table, *(f"- {violation}" for violation in self.violations[:50])])


def _row(name: str, results: Sequence[RoundResult]) -> tuple[str, ...]:
    times = sorted(one.recovery_seconds for one in results)
    views = sorted(one.view_seconds for one in results)
    return (
        name,
        str(len(results)),
        str(sum(one.purchases for one in results)),
        str(sum(len(one.violations) for one in results)),
        *(f"{seconds:.1f} s" for seconds in (quantile(times, 0.5), quantile(times, 0.99), times[-1])),
        f"{quantile(views, 0.99):.1f} s",
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that is not below this share of the values."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
