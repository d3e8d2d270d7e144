"""What rounds have shown, as a table: for a person at the end, and in files as the run goes on."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.chaos.round import Outcome

HEAD = ("fault", "rounds", "purchases", "violations", "recovery p50", "p99", "max", "viewers p99")


class Table:
    """Outcomes by fault, written down after every round: a run may be stopped at any time."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self.outcomes: list[Outcome] = []
        self.complaints: list[str] = []

    @property
    def violations(self) -> list[str]:
        return [violation for one in self.outcomes for violation in one.violations] + self.complaints

    def add(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.write()

    def write(self) -> None:
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            rounds = {"rounds": [asdict(one) for one in self.outcomes], "complaints": self.complaints}
            (self._folder / "chaos.json").write_text(json.dumps(rounds, indent=1))
            (self._folder / "chaos.md").write_text(self.as_text() + "\n")

    def rows(self) -> list[tuple[str, ...]]:
        by_fault = defaultdict(list)
        for outcome in self.outcomes:
            by_fault[outcome.fault].append(outcome)
        rows = [_row(name, outcomes) for name, outcomes in by_fault.items()]
        return [*rows, _row("all", self.outcomes)] if len(rows) > 1 else rows

    def as_text(self) -> str:
        lines = [HEAD, ("---",) * len(HEAD), *self.rows()]
        table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        return "\n".join([table, *(f"- {violation}" for violation in self.violations[:50])])


def _row(name: str, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    times = sorted(one.recovery_seconds for one in outcomes)
    views = sorted(one.view_seconds for one in outcomes)
    return (
        name,
        str(len(outcomes)),
        str(sum(one.purchases for one in outcomes)),
        str(sum(len(one.violations) for one in outcomes)),
        *(f"{seconds:.1f} s" for seconds in (quantile(times, 0.5), quantile(times, 0.99), times[-1])),
        f"{quantile(views, 0.99):.1f} s",
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that is no less than this share of them."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
