"""The fixtures of the sweeps, and a summary of the number of tests at the end of a run."""

import pytest

from tests.fuzz.size import TRIED
from tests.sweeps.conftest import (  # noqa: F401 (found by name)
    app,
    client,
    database,
    database_url,
    owner,
    settings,
    tenant,
    world,
)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for what, number in TRIED.items():
        terminalreporter.write_line(f"fuzz: {number:,} {what}")
