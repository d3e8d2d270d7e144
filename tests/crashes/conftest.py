"""Processes that die at crash points."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.crashes.processes import Processes
from ticketing.infra.config import Settings
from ticketing.infra.db import Database


@pytest.fixture
async def processes(settings: Settings, database: Database, tmp_path: Path) -> AsyncIterator[Processes]:
    processes = Processes(settings, database, tmp_path)
    yield processes
    await processes.close()
